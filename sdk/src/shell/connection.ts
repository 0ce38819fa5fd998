const SVG = 'http://www.w3.org/2000/svg';
const OFFLINE = 'M2 2l20 20M5 12.5a10 10 0 0 1 4-2.4M2 9a15 15 0 0 1 4.2-2.8M10.5 5a15 15 0 0 1 11.5 4M14.5 10.3a10 10 0 0 1 4.5 2.2M8.5 16a5 5 0 0 1 7 0M12 20h.01';
const ONLINE = 'M5 12.5a10 10 0 0 1 14 0M2 9a15 15 0 0 1 20 0M8.5 16a5 5 0 0 1 7 0M12 20h.01';

/** How long the good news stays before the bar is quiet again, in milliseconds. */
const QUIET_AFTER_MS = 4000;

/** Shows when the browser is offline, by icon and word; says nothing while all is well. */
export function watchConnection(status: HTMLElement): void {
  let quiet: ReturnType<typeof setTimeout> | undefined;
  const show = (state: 'offline' | 'online', path: string, word: string): void => {
    clearTimeout(quiet);
    status.dataset['state'] = state;
    status.replaceChildren(icon(path), word);
  };
  const offline = (): void => show('offline', OFFLINE, 'Offline');
  window.addEventListener('offline', offline);
  window.addEventListener('online', () => {
    show('online', ONLINE, 'Online again');
    quiet = setTimeout(() => {
      delete status.dataset['state'];
      status.replaceChildren();
    }, QUIET_AFTER_MS);
  });
  if (!navigator.onLine) offline();
}

function icon(path: string): SVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const stroke = document.createElementNS(SVG, 'path');
  stroke.setAttribute('d', path);
  svg.append(stroke);
  return svg;
}
