import type { FeatureRecord } from './bootstrap';
import { StartFailure } from './failure';
import type { FeatureHostApi } from './host-api';
import type { Runtime } from './runtime';
import { Scope } from './scope';
/** Second argument of a feature's `mount`. */
export interface MountContext<Props = undefined> {
    readonly featureId: string;
    readonly version: string;
    readonly basename: string;
    readonly domElementId: string;
    readonly hostVersion: string;
    /** Bound to this very mounting: everything opened through it ends with it. */
    readonly host: FeatureHostApi;
    /** The shadow root around the element, where the manifest asks for isolation. */
    readonly shadowRoot: ShadowRoot | null;
    /** What the embedding feature passed; undefined on domain features. */
    readonly props: Props;
}
/** Told how a mounting goes. `failed` after `ready` means that it broke later, `ready` after `failed` that it was late. */
export interface MountObserver {
    ready(): void;
    failed(failure: StartFailure): void;
}
/** One feature in one element, from the first byte asked for to the last cleanup. */
export declare class FeatureMount {
    #private;
    private readonly runtime;
    readonly feature: FeatureRecord;
    private readonly observer;
    /** What the feature draws into. */
    readonly container: HTMLElement;
    readonly shadowRoot: ShadowRoot | null;
    readonly scope: Scope;
    constructor(runtime: Runtime, feature: FeatureRecord, place: HTMLElement, observer: MountObserver);
    /** Starts the feature. How it went is told to the observer; nothing is thrown. */
    start(props?: unknown): void;
    /** The feature says that it started. */
    signal(): void;
    /** Hands new props to the feature; while it starts or updates, only the latest are kept. */
    update(props: unknown): void;
    /** Unmounts and cleans up, once. What is still loading is undone when it arrives. */
    stop(): void;
}
