import type { Bootstrap, FeatureRecord } from './bootstrap';
import type { FeatureMount } from './feature-mount';
import { type FeatureHostApi } from './host-api';
import type { Platform } from './platform';
import { Scope } from './scope';
import { Styles } from './styles';
/** What a feature learns about where it runs. */
export interface BootstrapConfig {
    readonly featureId: string;
    readonly version: string;
    readonly basename: string;
    readonly domElementId: string;
    readonly hostVersion: string;
}
/** What holds where the page does not say, as in a feature's own tests. */
export interface BootstrapDefaults {
    readonly defaultFeatureId: string;
    readonly defaultBasename: string;
    readonly defaultDomElementId: string;
}
/** The state of one page: one instance, shared by the shell and every feature. */
export declare class Runtime {
    #private;
    readonly bootstrap: Bootstrap;
    readonly platform: Platform;
    readonly styles: Styles;
    /** Features that start by being imported and have done so in this document. */
    readonly selfStarted: Set<string>;
    constructor(bootstrap: Bootstrap, platform: Platform);
    config(defaults: BootstrapDefaults): BootstrapConfig;
    /** The element of a domain feature: inside its shadow root, where it has one. */
    mountElement(id: string): HTMLElement;
    /** Of the named feature; without a name of the feature whose code is running, else of the domain feature on the page. */
    shadowRoot(featureId?: string): ShadowRoot | null;
    hostApi(scope: () => Scope): FeatureHostApi;
    /**
     * Where a feature's cleanups go: to the mounting whose code is running, else to the feature as
     * a whole, which ends with its last mounting.
     */
    scopeOf(featureId: string): Scope;
    /** A feature says that it started. */
    signal(featureId: string): void;
    /** Runs the synchronous part of a feature's function on behalf of one mounting. */
    during<T>(mount: FeatureMount, run: () => T): T;
    /** Imports the entry modules in order; `repeated` when this document has imported them before. */
    importFeature(feature: FeatureRecord): Promise<{
        modules: Readonly<Record<string, unknown>>[];
        repeated: boolean;
    }>;
    /**
     * Replaces what the browser's cache holds wrong of a feature. Files are cached for good under
     * their hashed names, also those that failed their integrity check, so that without this a new
     * document would meet the same wrong bytes.
     */
    repair(feature: FeatureRecord): Promise<void>;
    joined(mount: FeatureMount): void;
    left(mount: FeatureMount): void;
}
