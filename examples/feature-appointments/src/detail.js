import { mountFacet } from '@favn/feature-sdk';
import { duration } from './format.js';

/** The panel beside the list. It follows the selection by the event bus. */
export function renderDetail(panel, host) {
  panel.innerHTML = `
    <h2></h2>
    <dl>
      <div><dt>Time</dt><dd data-field="time"></dd></div>
      <div><dt>Reason</dt><dd data-field="reason"></dd></div>
      <div><dt>Room</dt><dd data-field="room"></dd></div>
      <div><dt>With</dt><dd data-field="clinician"></dd></div>
    </dl>
    <h3>Allergies</h3>
    <div class="appointments-allergies"></div>
    <p><a></a></p>`;
  const field = (name) => panel.querySelector(`[data-field="${name}"]`);
  const link = panel.querySelector('a');
  let allergies = null;

  host.eventBus.subscribe('appointments', 'selected', (appointment) => {
    host.store.set('patient.selected', appointment.patientId);
    panel.querySelector('h2').textContent = appointment.patientName;
    field('time').textContent = `${appointment.time}, ${duration(appointment.minutes)}`;
    field('reason').textContent = appointment.reason;
    field('room').textContent = appointment.room;
    field('clinician').textContent = appointment.clinician;
    link.href = `/patientlist/${appointment.patientId}`;
    link.textContent = `Open ${appointment.patientId} in the patient list`;

    const props = { patientId: appointment.patientId, view: 'list' };
    if (allergies) allergies.update(props);
    else allergies = mountFacet('allergybadge', panel.querySelector('.appointments-allergies'), props);
  });
  host.lifecycle.onCleanup(() => allergies?.unmount());
}
