import { useEffect, useRef } from 'react';
import { Link, useParams } from 'react-router-dom';
import { AllergyBadge } from './allergy-badge';
import { findPatient, type Patient } from './patients';

/** One patient. `onOpened` is told who. */
export default function PatientDetail({ onOpened }: { onOpened: (patientId: string) => void }) {
  const { patientId } = useParams();
  const patient = findPatient(patientId);
  const heading = useRef<HTMLHeadingElement>(null);

  useEffect(() => {
    heading.current?.focus();
    if (patient) onOpened(patient.id);
  }, [patient, onOpened]);

  return (
    <article>
      <p className="patients-back">
        <Link to="/">All patients</Link>
      </p>
      <h1 ref={heading} tabIndex={-1}>
        {patient ? patient.name : `No patient ${patientId}`}
      </h1>
      {patient && <Facts patient={patient} />}
    </article>
  );
}

function Facts({ patient }: { patient: Patient }) {
  return (
    <>
      <p className="patients-line">
        {patient.id}, {patient.age} years, {patient.ward}, bed {patient.bed}
      </p>
      <div className="patients-panels">
        <section>
          <h2>Allergies</h2>
          <AllergyBadge patientId={patient.id} view="list" />
        </section>
        <section>
          <h2>{patient.status}</h2>
          <p>{patient.reason}</p>
          <p>{patient.note}</p>
          <p>
            <a href={`/appointments?patient=${patient.id}`}>Appointments</a>
          </p>
        </section>
        <section className="patients-observations">
          <h2>Observations today</h2>
          <table>
            <thead>
              <tr>
                <th scope="col">Time</th>
                <th scope="col">Pulse, /min</th>
                <th scope="col">BP, mmHg</th>
                <th scope="col">Temp., °C</th>
              </tr>
            </thead>
            <tbody>
              {patient.observations.map((observation) => (
                <tr key={observation.time}>
                  <th scope="row">{observation.time}</th>
                  <td>{observation.pulse}</td>
                  <td>{observation.bloodPressure}</td>
                  <td>{observation.temperature.toFixed(1)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      </div>
    </>
  );
}
