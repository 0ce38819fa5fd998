import { facets, runtime } from '../runtime/page';
import { showInBar } from './bar';
import { watchConnection } from './connection';
import { DomainSlot } from './domain-slot';
import { reloadOnChange } from './live-reload';
import { installNavigation } from './navigation';
import './shell.css';

document.documentElement.dataset['pilarRuntime'] = 'running';

const status = document.getElementById('pilar-connection');
if (status) watchConnection(status);

const main = document.getElementById('pilar-main');
const { activeFeatureId, features, liveReload, snapshot } = runtime.bootstrap;
if (liveReload) void reloadOnChange(liveReload, snapshot, runtime.platform);
const active = activeFeatureId === null ? undefined : features[activeFeatureId];
if (main && active) {
  const slot = new DomainSlot(runtime, facets, main);
  installNavigation(runtime, slot, main);
  // Told by code that Vite built when a lazy chunk is refused. The feature shows that itself; here
  // its cached files are mended, so that loading the page again helps.
  window.addEventListener('vite:preloadError', () => {
    const feature = features[slot.featureId ?? ''];
    if (feature) void runtime.repair(feature);
  });
  showInBar(active, features);
  slot.enter(active);
}
