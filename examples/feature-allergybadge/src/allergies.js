// Invented records. `null` means that nobody has asked yet, which is not the same as "none known".

const RECORDS = new Map([
  ['T-0001', [{ substance: 'Penicillin', reaction: 'Anaphylaxis', severity: 'severe' }]],
  ['T-0002', []],
  [
    'T-0003',
    [
      { substance: 'Latex', reaction: 'Contact dermatitis', severity: 'moderate' },
      { substance: 'Kiwi', reaction: 'Oral itching', severity: 'mild' },
    ],
  ],
  ['T-0004', []],
  ['T-0005', [{ substance: 'Iodine contrast', reaction: 'Urticaria', severity: 'moderate' }]],
  ['T-0006', null],
  [
    'T-0007',
    [
      { substance: 'Peanut', reaction: 'Anaphylaxis', severity: 'severe' },
      { substance: 'Ibuprofen', reaction: 'Bronchospasm', severity: 'severe' },
    ],
  ],
  ['T-0008', []],
  ['T-0009', [{ substance: 'Nickel', reaction: 'Contact dermatitis', severity: 'mild' }]],
  ['T-0010', []],
  ['T-0011', [{ substance: 'Morphine', reaction: 'Nausea', severity: 'mild' }]],
  ['T-0012', null],
]);

/** The recorded allergies, most severe first; `null` where nothing is recorded. */
export function allergiesOf(patientId) {
  return RECORDS.get(patientId) ?? null;
}
