import { dayName, duration } from './format.js';

/** One day with its appointments; `onSelect` gets the one that was chosen. */
export function renderDay({ date, appointments }, today, onSelect) {
  const section = document.createElement('section');
  const heading = document.createElement('h2');
  heading.textContent = dayName(date, today);
  const rows = document.createElement('ul');
  rows.append(...appointments.map((appointment) => renderRow(appointment, onSelect)));
  section.append(heading, rows);
  return section;
}

function renderRow(appointment, onSelect) {
  const item = document.createElement('li');
  const row = document.createElement('button');
  row.type = 'button';
  row.className = 'appointment';
  row.dataset.appointment = appointment.id;
  row.setAttribute('aria-pressed', 'false');
  row.append(
    cell('time', appointment.time),
    cell('who', appointment.patientName),
    cell('what', `${appointment.reason}, ${duration(appointment.minutes)}`),
    cell('where', appointment.room),
  );
  row.addEventListener('click', () => onSelect(appointment));
  item.append(row);
  return item;
}

function cell(name, text) {
  const span = document.createElement('span');
  span.className = `appointment-${name}`;
  span.textContent = text;
  return span;
}
