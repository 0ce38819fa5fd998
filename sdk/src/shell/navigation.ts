import { ownerOf, type FeatureRecord } from '../runtime/bootstrap';
import type { Runtime } from '../runtime/runtime';
import { announce, showInBar } from './bar';
import type { DomainSlot } from './domain-slot';
import { destinationOf } from './links';

/** Moves between domain features without a new document. Returns a function that stops it. */
export function installNavigation(runtime: Runtime, slot: DomainSlot, main: HTMLElement): () => void {
  const { features } = runtime.bootstrap;

  const enter = (feature: FeatureRecord): void => {
    showInBar(feature, features);
    slot.enter(feature);
    main.focus({ preventScroll: true });
    announce(feature.displayName);
  };

  const onClick = (event: MouseEvent): void => {
    const destination = destinationOf(event, features);
    if (!destination) return;
    const { url, feature } = destination;
    if (feature.featureId === slot.featureId) {
      // Its router's business; in the bar, a new document. The second half of a double click in
      // the bar is neither: the first half has just led here.
      if (event.detail > 1 && !main.contains(event.target as Node)) event.preventDefault();
      return;
    }
    event.preventDefault();
    if (runtime.selfStarted.has(feature.featureId)) {
      runtime.platform.assign(url.href);
      return;
    }
    // The old feature goes first, so that its router never sees an address of another.
    slot.leave();
    history.pushState(null, '', url);
    window.scrollTo(0, 0);
    enter(feature);
  };

  const onPopState = (event: PopStateEvent): void => {
    const feature = ownerOf(location.pathname, features);
    if (feature && feature.featureId === slot.featureId) return;
    // Registered before any feature's router, so that the current one is spared a foreign address.
    event.stopImmediatePropagation();
    slot.leave();
    if (!feature || runtime.selfStarted.has(feature.featureId)) runtime.platform.reload();
    else enter(feature);
  };

  document.addEventListener('click', onClick);
  window.addEventListener('popstate', onPopState);
  return () => {
    document.removeEventListener('click', onClick);
    window.removeEventListener('popstate', onPopState);
  };
}
