import { registerReactUnmount, type MountContext } from '@favn/feature-sdk';
import { createRoot } from 'react-dom/client';
import { BrowserRouter } from 'react-router-dom';
import { App } from './app';
import './style.css';

export function mount(element: HTMLElement, { basename, featureId, host }: MountContext): void {
  const root = createRoot(element);
  root.render(
    <BrowserRouter basename={basename}>
      <App onOpened={(patientId) => host.store.set('patient.selected', patientId)} />
    </BrowserRouter>,
  );
  registerReactUnmount(root, featureId);
}
