// Makes visible from outside what mounting sets up and unmounting takes away.

const seen = (window.probe ??= { mounts: 0, unmounts: 0, cleanups: 0, ticks: 0, pings: 0 });

export function mount(element, { host, version }) {
  seen.mounts += 1;
  element.innerHTML = `
    <h1>Probe ${version}</h1>
    <p><button type="button">Load more</button></p>
    <p class="probe-more"></p>`;
  element.querySelector('button').addEventListener('click', async () => {
    const { text } = await import('./later.js');
    element.querySelector('.probe-more').textContent = text;
  });
  host.lifecycle.trackInterval(() => (seen.ticks += 1), 5);
  host.lifecycle.onCleanup(() => (seen.cleanups += 1));
  host.eventBus.subscribe('probe', 'ping', () => (seen.pings += 1));
  window.pingProbe = () => host.eventBus.publish('probe', 'ping', null);
}

export function unmount(element) {
  seen.unmounts += 1;
  element.replaceChildren();
}
