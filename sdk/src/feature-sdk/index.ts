// What features import as `@favn/feature-sdk`. The import map of the shell resolves it to the
// host's own copy; no feature bundles it.

import type { FacetHandle } from '../runtime/facets';
import type { FeatureHostApi } from '../runtime/host-api';
import { facets, runtime } from '../runtime/page';
import type { BootstrapConfig, BootstrapDefaults } from '../runtime/runtime';

export type { FacetHandle } from '../runtime/facets';
export type { MountContext } from '../runtime/feature-mount';
export type { FeatureHostApi, IntervalHandle } from '../runtime/host-api';
export type { BootstrapConfig, BootstrapDefaults } from '../runtime/runtime';

/** Where this feature runs: what the host says, else the defaults. */
export function getBootstrapConfig(defaults: BootstrapDefaults): BootstrapConfig {
  return runtime.config(defaults);
}

/** The element that a domain feature draws into. Throws when the page has none with this id. */
export function getMountElement(id: string): HTMLElement {
  return runtime.mountElement(id);
}

/** Signals that the feature started, and unmounts the React root when the feature goes. */
export function registerReactUnmount(root: { unmount(): void }, featureId: string): void {
  registerUnmount(() => root.unmount(), featureId);
}

/** Signals that the feature started, and runs `unmount` once when it goes. */
export function registerUnmount(unmount: () => unknown, featureId: string): void {
  runtime.scopeOf(featureId).add(unmount);
  runtime.signal(featureId);
}

/** Event bus, store and lifecycle; what is opened through it ends with the feature. */
export function createFeatureHostApi(featureId: string): FeatureHostApi {
  return runtime.hostApi(() => runtime.scopeOf(featureId));
}

/**
 * The shadow root of a feature with `isolation.shadowDOM`, else null. Without an id it is that of
 * the feature whose `mount` or `update` is running, else that of the domain feature on the page.
 */
export function getFeatureShadowRoot(featureId?: string): ShadowRoot | null {
  return runtime.shadowRoot(featureId);
}

/**
 * Mounts a facet as the last child of `element`. Returns at once; a facet that cannot start shows
 * a small panel in its place and rejects `ready`.
 */
export function mountFacet<Props>(featureId: string, element: HTMLElement, props: Props): FacetHandle<Props> {
  return facets.mount(featureId, element, props);
}
