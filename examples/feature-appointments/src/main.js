// A domain feature without a build step: the files below src/ are what the browser runs.

import { renderDetail } from './detail.js';
import { renderDay } from './day.js';
import { findByPatient, schedule } from './schedule.js';

export function mount(element, { host }) {
  const today = new Date();
  const days = schedule(today);

  element.innerHTML = `
    <div class="appointments">
      <header class="appointments-head">
        <h1>Appointments</h1>
        <p>Three days from today. All patients are invented.</p>
      </header>
      <aside class="appointments-detail" aria-label="Selected appointment" aria-live="polite"></aside>
      <div class="appointments-days"></div>
    </div>`;

  const list = element.querySelector('.appointments-days');
  const detail = element.querySelector('.appointments-detail');
  const select = (appointment) => host.eventBus.publish('appointments', 'selected', appointment);
  const choose = (appointment) => {
    select(appointment);
    // On a narrow screen the details are above the list.
    detail.scrollIntoView({ block: 'nearest' });
  };
  list.append(...days.map((day) => renderDay(day, today, choose)));
  list.addEventListener('keydown', moveByArrows);

  host.eventBus.subscribe('appointments', 'selected', (appointment) => markSelected(list, appointment));
  renderDetail(detail, host);

  // A link from another feature names the patient; otherwise the patient looked at last is offered.
  const asked = new URLSearchParams(location.search).get('patient') ?? host.store.get('patient.selected', null);
  const first = findByPatient(days, asked) ?? days[0].appointments[0];
  select(first);
}

export function unmount(element) {
  element.replaceChildren();
}

function markSelected(list, appointment) {
  for (const row of list.querySelectorAll('.appointment')) {
    row.setAttribute('aria-pressed', String(row.dataset.appointment === appointment.id));
  }
}

function moveByArrows(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const rows = [...event.currentTarget.querySelectorAll('.appointment')];
  const next = rows[rows.indexOf(document.activeElement) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}
