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
export declare class Facets {
    #private;
    private readonly runtime;
    constructor(runtime: Runtime);
    mount<Props>(featureId: string, element: HTMLElement, props: Props): FacetHandle<Props>;
    unmountAll(): void;
}
