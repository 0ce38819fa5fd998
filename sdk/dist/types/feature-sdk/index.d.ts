import type { FacetHandle } from '../runtime/facets';
import type { FeatureHostApi } from '../runtime/host-api';
import type { BootstrapConfig, BootstrapDefaults } from '../runtime/runtime';
export type { FacetHandle } from '../runtime/facets';
export type { MountContext } from '../runtime/feature-mount';
export type { FeatureHostApi, IntervalHandle } from '../runtime/host-api';
export type { BootstrapConfig, BootstrapDefaults } from '../runtime/runtime';
/** Where this feature runs: what the host says, else the defaults. */
export declare function getBootstrapConfig(defaults: BootstrapDefaults): BootstrapConfig;
/** The element that a domain feature draws into. Throws when the page has none with this id. */
export declare function getMountElement(id: string): HTMLElement;
/** Signals that the feature started, and unmounts the React root when the feature goes. */
export declare function registerReactUnmount(root: {
    unmount(): void;
}, featureId: string): void;
/** Signals that the feature started, and runs `unmount` once when it goes. */
export declare function registerUnmount(unmount: () => unknown, featureId: string): void;
/** Event bus, store and lifecycle; what is opened through it ends with the feature. */
export declare function createFeatureHostApi(featureId: string): FeatureHostApi;
/**
 * The shadow root of a feature with `isolation.shadowDOM`, else null. Without an id it is that of
 * the feature whose `mount` or `update` is running, else that of the domain feature on the page.
 */
export declare function getFeatureShadowRoot(featureId?: string): ShadowRoot | null;
/**
 * Mounts a facet as the last child of `element`. Returns at once; a facet that cannot start shows
 * a small panel in its place and rejects `ready`.
 */
export declare function mountFacet<Props>(featureId: string, element: HTMLElement, props: Props): FacetHandle<Props>;
