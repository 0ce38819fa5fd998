// Throws when mounted, until the browser's storage says that all is well.

export function mount(element) {
  element.innerHTML = '<h1>Half of the night report</h1>';
  if (localStorage.getItem('mended') === null) throw new Error('the report cannot be read');
  element.innerHTML = '<h1>The night report</h1>';
}
