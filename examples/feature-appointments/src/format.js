const LONG_DAY = new Intl.DateTimeFormat('en-GB', { weekday: 'long', day: 'numeric', month: 'long' });
const DAY_MS = 24 * 60 * 60 * 1000;

/** "Today, Monday 3 March", "Tomorrow, …", else the weekday alone. */
export function dayName(date, today) {
  const away = Math.round((startOfDay(date) - startOfDay(today)) / DAY_MS);
  const near = { 0: 'Today, ', 1: 'Tomorrow, ' }[away] ?? '';
  return near + LONG_DAY.format(date);
}

/** Minutes as people say them; number and unit stay on one line. */
export function duration(minutes) {
  const hours = Math.floor(minutes / 60);
  const rest = minutes % 60;
  return [hours && `${hours}\u00a0h`, rest && `${rest}\u00a0min`].filter(Boolean).join(' ');
}

function startOfDay(date) {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}
