import { useEffect, useMemo, useRef, useState } from 'react';
import { Link } from 'react-router-dom';
import { AllergyBadge } from './allergy-badge';
import { searchPatients, WARDS, type Patient } from './patients';

/** All patients, with search and ward filter. Focus returns to `lastOpened` after a visit to a patient. */
export function PatientList({ lastOpened }: { lastOpened: string | null }) {
  const [words, setWords] = useState('');
  const [ward, setWard] = useState('');
  const patients = useMemo(() => searchPatients(words, ward), [words, ward]);
  const rows = useRef<HTMLUListElement>(null);

  useEffect(() => {
    if (lastOpened) rows.current?.querySelector<HTMLElement>(`[data-patient="${lastOpened}"]`)?.focus();
  }, [lastOpened]);

  return (
    <>
      <header className="patients-head">
        <div>
          <h1>Patients</h1>
          <p role="status">{patients.length === 1 ? '1 patient' : `${patients.length} patients`}, all invented</p>
        </div>
        <form role="search" onSubmit={(event) => event.preventDefault()}>
          <label>
            <span>Search</span>
            <input
              type="search"
              placeholder="Name, id or reason"
              value={words}
              onChange={(event) => setWords(event.target.value)}
            />
          </label>
          <label>
            <span>Ward</span>
            <select value={ward} onChange={(event) => setWard(event.target.value)}>
              <option value="">All wards</option>
              {WARDS.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
        </form>
      </header>
      {patients.length === 0 ? (
        <p className="patients-empty">No patient matches. Shorten the search or choose all wards.</p>
      ) : (
        <ul className="patients-rows" ref={rows}>
          {patients.map((patient) => (
            <PatientRow key={patient.id} patient={patient} />
          ))}
        </ul>
      )}
    </>
  );
}

function PatientRow({ patient }: { patient: Patient }) {
  return (
    <li className="patients-row">
      <div className="patients-who">
        <Link to={patient.id} data-patient={patient.id}>
          {patient.name}
        </Link>
        <small>
          {patient.id}, {patient.age} years
        </small>
      </div>
      <div className="patients-where">
        {patient.ward}
        <small>Bed {patient.bed}</small>
      </div>
      <div className="patients-why">
        {patient.reason}
        <small>{patient.status}</small>
      </div>
      <AllergyBadge patientId={patient.id} />
    </li>
  );
}
