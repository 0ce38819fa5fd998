import { facets, runtime } from '../runtime/page';
import { watchConnection } from './connection';
import { DomainSlot } from './domain-slot';
import { installNavigation } from './navigation';
import './shell.css';

const status = document.getElementById('pilar-connection');
if (status) watchConnection(status);

const main = document.getElementById('pilar-main');
const { activeFeatureId, features } = runtime.bootstrap;
const active = activeFeatureId === null ? undefined : features[activeFeatureId];
if (main && active) {
  const slot = new DomainSlot(runtime, facets, main);
  installNavigation(runtime, slot, main);
  slot.enter(active);
}
