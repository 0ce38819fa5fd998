// Invented appointments of invented patients, laid out over the three days from today.

const PLAN = [
  [
    ['08:15', 20, 'T-0001', 'Test patient Alder', 'Blood pressure check', 'Room 2', 'Nurse on duty'],
    ['09:00', 45, 'T-0003', 'Test patient Cedar', 'Wound care', 'Room 4', 'Nurse on duty'],
    ['10:30', 30, 'T-0007', 'Test patient Hazel', 'Medication review', 'Room 1', 'Physician A'],
    ['13:00', 60, 'T-0005', 'Test patient Elm', 'CT with contrast', 'Imaging 1', 'Radiographer B'],
    ['14:45', 30, 'T-0010', 'Test patient Larch', 'Follow-up', 'Room 1', 'Physician A'],
  ],
  [
    ['08:30', 30, 'T-0002', 'Test patient Birch', 'Admission talk', 'Room 3', 'Nurse on duty'],
    ['11:00', 90, 'T-0009', 'Test patient Juniper', 'Physiotherapy', 'Gym', 'Physiotherapist C'],
    ['15:15', 20, 'T-0006', 'Test patient Fir', 'Vaccination', 'Room 2', 'Nurse on duty'],
  ],
  [
    ['09:45', 30, 'T-0012', 'Test patient Oak', 'Pre-operative check', 'Room 1', 'Physician D'],
    ['12:30', 45, 'T-0011', 'Test patient Maple', 'Pain management', 'Room 5', 'Physician D'],
  ],
];

/** The days with their appointments, the first one being `today`. */
export function schedule(today) {
  return PLAN.map((entries, offset) => ({
    date: new Date(today.getFullYear(), today.getMonth(), today.getDate() + offset),
    appointments: entries.map(([time, minutes, patientId, patientName, reason, room, clinician], index) => ({
      id: `A-${offset + 1}${String(index + 1).padStart(2, '0')}`,
      time,
      minutes,
      patientId,
      patientName,
      reason,
      room,
      clinician,
    })),
  }));
}

/** The next appointment of a patient, or undefined. */
export function findByPatient(days, patientId) {
  return days.flatMap((day) => day.appointments).find((appointment) => appointment.patientId === patientId);
}
