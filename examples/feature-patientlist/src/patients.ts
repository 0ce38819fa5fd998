// Invented patients. Every name says so.

export type Status = 'Admitted' | 'Observation' | 'Discharge planned';

export interface Observation {
  time: string;
  pulse: number;
  bloodPressure: string;
  temperature: number;
}

export interface Patient {
  id: string;
  name: string;
  age: number;
  ward: string;
  bed: string;
  reason: string;
  status: Status;
  note: string;
  observations: Observation[];
}

type Row = [name: string, age: number, ward: string, bed: string, reason: string, status: Status, note: string];

const ROWS: Row[] = [
  ['Alder', 71, 'Medicine 2', '204-A', 'Pneumonia', 'Admitted', 'Oral antibiotics from tomorrow.'],
  ['Birch', 34, 'Surgery 1', '112-B', 'Appendicitis', 'Admitted', 'Theatre at 13:00, nil by mouth.'],
  ['Cedar', 58, 'Medicine 2', '204-B', 'Leg ulcer', 'Admitted', 'Dressing every second day.'],
  ['Dogwood', 45, 'Observation', 'O-3', 'Chest pain', 'Observation', 'Second troponin at 14:00.'],
  ['Elm', 63, 'Surgery 1', '114-A', 'Gallstones', 'Admitted', 'Imaging before surgery.'],
  ['Fir', 29, 'Observation', 'O-1', 'Concussion', 'Observation', 'Neurological checks each hour.'],
  ['Hazel', 82, 'Medicine 2', '206-A', 'Heart failure', 'Admitted', 'Daily weight, fluid balance.'],
  ['Ivy', 51, 'Surgery 1', '114-B', 'Hernia repair', 'Discharge planned', 'Home with written advice.'],
  ['Juniper', 67, 'Medicine 2', '207-A', 'Stroke', 'Admitted', 'Physiotherapy twice a day.'],
  ['Larch', 39, 'Medicine 2', '207-B', 'Asthma', 'Discharge planned', 'Inhaler technique checked.'],
  ['Maple', 76, 'Surgery 1', '116-A', 'Hip fracture', 'Admitted', 'Pain score before mobilising.'],
  ['Oak', 55, 'Surgery 1', '116-B', 'Knee replacement', 'Admitted', 'Pre-operative check outstanding.'],
];

export const PATIENTS: Patient[] = ROWS.map(([name, age, ward, bed, reason, status, note], index) => ({
  id: `T-${String(index + 1).padStart(4, '0')}`,
  name: `Test patient ${name}`,
  age,
  ward,
  bed,
  reason,
  status,
  note,
  observations: observationsOf(index),
}));

export const WARDS = [...new Set(PATIENTS.map(({ ward }) => ward))].sort();

export function findPatient(id: string | undefined): Patient | undefined {
  return PATIENTS.find((patient) => patient.id === id);
}

/** The patients of a ward ('' for all) whose name, id or reason holds the words. */
export function searchPatients(words: string, ward: string): Patient[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return PATIENTS.filter((patient) => {
    const text = `${patient.name} ${patient.id} ${patient.reason}`.toLowerCase();
    return (ward === '' || patient.ward === ward) && wanted.every((word) => text.includes(word));
  });
}

// Plausible and the same at every load.
function observationsOf(index: number): Observation[] {
  return ['06:00', '10:00', '14:00'].map((time, round) => ({
    time,
    pulse: 64 + ((index * 7 + round * 3) % 28),
    bloodPressure: `${112 + ((index * 5 + round * 4) % 36)}/${68 + ((index * 3 + round * 2) % 18)}`,
    temperature: 36.4 + ((index * 2 + round) % 12) / 10,
  }));
}
