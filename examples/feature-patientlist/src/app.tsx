import { lazy, Suspense, useCallback, useState } from 'react';
import { Route, Routes } from 'react-router-dom';
import { PatientList } from './patient-list';
import { ViewBoundary } from './view-boundary';

// A chunk of its own: most visits only look at the list.
const PatientDetail = lazy(() => import('./patient-detail'));

/** The routes. `onOpened` hears which patient was looked at last. */
export function App({ onOpened }: { onOpened: (patientId: string) => void }) {
  const [lastOpened, setLastOpened] = useState<string | null>(null);
  const opened = useCallback(
    (patientId: string) => {
      setLastOpened(patientId);
      onOpened(patientId);
    },
    [onOpened],
  );
  return (
    <div className="patients">
      <ViewBoundary>
        <Suspense fallback={<p className="patients-loading">Loading</p>}>
          <Routes>
            <Route index element={<PatientList lastOpened={lastOpened} />} />
            <Route path=":patientId" element={<PatientDetail onOpened={opened} />} />
          </Routes>
        </Suspense>
      </ViewBoundary>
    </div>
  );
}
