// What makes the pages better where scripts run; nothing depends on it.
'use strict';

// Times: how far they are from now stays true, and the operator's own zone stands beside UTC.
const UNITS = [[86400, 172800, 'd'], [3600, 3600, 'h'], [60, 60, 'min'], [1, 10, 's']];

function relative(seconds) {
  const distance = Math.abs(seconds);
  const unit = UNITS.find(([, from]) => distance >= from);
  if (!unit) return 'just now';
  const text = `${Math.floor(distance / unit[0])} ${unit[2]}`;
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

function refreshTimes(root = document) {
  for (const time of root.querySelectorAll('time:not([data-exact])')) {
    const text = relative((Date.now() - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== text) time.textContent = text;
  }
}

function addZone(root = document) {
  for (const time of root.querySelectorAll('time')) {
    const local = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'long' });
    if (!time.title.includes('\n')) time.title += `\n${local}`;
  }
}

addZone();
setInterval(refreshTimes, 10_000);

// Live figures: the stream names a region and sends what now belongs into it.
const main = document.querySelector('main[data-stream]');
if (main) {
  const stream = new EventSource(main.dataset.stream);
  const status = document.getElementById('live');
  const words = status?.textContent;
  const say = (text) => {
    if (status && status.textContent !== text) status.textContent = text;
  };
  stream.addEventListener('open', () => say(words));
  // After an answer that is no stream, as when too many are open, the browser does not try again.
  stream.addEventListener('error', () => {
    say(stream.readyState === EventSource.CLOSED ? status?.dataset.ended : status?.dataset.paused);
  });
  stream.addEventListener('snapshot', ({ data }) => {
    document.getElementById('changed').hidden = data === main.dataset.snapshot;
  });
  for (const region of document.querySelectorAll('[data-live]')) {
    let shown;
    stream.addEventListener(region.dataset.live, ({ data }) => {
      if (data === shown) return;
      // Whoever is in it with the keyboard or has marked something keeps it as it is.
      if (region.contains(document.activeElement)) return;
      const selection = getSelection();
      if (!selection.isCollapsed && selection.containsNode(region, true)) return;
      const open = [...region.querySelectorAll('details[id][open]')].map(({ id }) => id);
      region.innerHTML = data;
      shown = data;
      for (const id of open) document.getElementById(id)?.setAttribute('open', '');
      addZone(region);
    });
  }
}

// What takes a moment says so, and is not sent twice.
for (const form of document.querySelectorAll('form[action="/_admin/refresh"]')) {
  form.addEventListener('submit', ({ submitter: button }) => {
    button.textContent = button.dataset.busy;
    button.setAttribute('aria-disabled', 'true');
    form.addEventListener('submit', (event) => event.preventDefault());
  });
}
