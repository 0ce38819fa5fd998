import type { FeatureRecord } from './bootstrap';
import { StartFailure } from './failure';
import { failurePanel } from './failure-panel';
import { FeatureMount } from './feature-mount';
import type { Runtime } from './runtime';

/** One mounted facet, in the hands of the feature that embeds it. */
export interface FacetHandle<Props = unknown> {
  /** Hands over new props: `update` of the facet, or mounted anew where it exports none. */
  update(props: Props): void;
  /** Takes the facet out, once; the element it was mounted into can be used again. */
  unmount(): void;
  /** Fulfilled when the facet stands, rejected when it could not start. Need not be watched. */
  readonly ready: Promise<void>;
}

/** The facets on the page. One domain feature is mounted at a time, so all of them belong to it. */
export class Facets {
  readonly #live = new Set<FacetHandle<never>>();

  constructor(private readonly runtime: Runtime) {}

  mount<Props>(featureId: string, element: HTMLElement, props: Props): FacetHandle<Props> {
    const place = document.createElement('div');
    place.dataset['pilarFacet'] = featureId;
    element.append(place);
    const { promise: ready, resolve, reject } = withResolvers();
    ready.catch(() => {}); // whoever watches it gets the reason; the panel tells everyone else

    const feature = this.#find(featureId);
    const { showFailure, clearFailure } = panelIn(element, place, feature.displayName, feature.version, this.runtime);
    let mount: FeatureMount | null = null;
    if ('js' in feature) {
      mount = new FeatureMount(this.runtime, feature, place, {
        ready: () => {
          clearFailure();
          resolve();
        },
        failed: (failure) => {
          showFailure(failure);
          reject(failure);
          // A facet has no button of its own: the next document is to find it whole.
          if (failure.code === 'load-failed') void this.runtime.repair(feature);
        },
      });
      mount.start(props);
    } else {
      const failure = new StartFailure('unknown-feature', `this host serves no facet "${featureId}"`);
      showFailure(failure);
      reject(failure);
    }

    const handle: FacetHandle<Props> = {
      ready,
      update: (next) => mount?.update(next),
      unmount: () => {
        if (!this.#live.delete(handle)) return;
        mount?.stop();
        clearFailure();
        place.remove();
      },
    };
    this.#live.add(handle);
    return handle;
  }

  unmountAll(): void {
    for (const handle of [...this.#live]) handle.unmount();
  }

  #find(featureId: string): FeatureRecord | Pick<FeatureRecord, 'displayName' | 'version'> {
    const feature = this.runtime.bootstrap.features[featureId];
    return feature?.featureType === 'facet' ? feature : { displayName: featureId, version: 'unknown' };
  }
}

function panelIn(
  element: HTMLElement,
  place: HTMLElement,
  displayName: string,
  version: string,
  runtime: Runtime,
): { showFailure(failure: StartFailure): void; clearFailure(): void } {
  let panel: HTMLElement | null = null;
  const clearFailure = (): void => {
    panel?.remove();
    panel = null;
    place.style.removeProperty('display');
  };
  return {
    clearFailure,
    showFailure: (failure) => {
      clearFailure();
      // Not `hidden`: the facet's own `:host` rule may set a display, which would win.
      place.style.setProperty('display', 'none', 'important');
      panel = failurePanel({ displayName, version }, runtime.bootstrap, failure);
      element.append(panel);
    },
  };
}

function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (cause: unknown) => void } {
  let resolve!: () => void;
  let reject!: (cause: unknown) => void;
  const promise = new Promise<void>((fulfil, refuse) => {
    resolve = fulfil;
    reject = refuse;
  });
  return { promise, resolve, reject };
}
