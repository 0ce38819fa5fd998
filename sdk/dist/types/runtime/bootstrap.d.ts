/** One stylesheet of a feature, with the hash the browser must find. */
export interface StylesheetRecord {
    readonly href: string;
    readonly integrity: string;
}
/** One feature that the host serves, as the page needs to know it. */
export interface FeatureRecord {
    readonly featureId: string;
    readonly version: string;
    readonly displayName: string;
    readonly featureType: 'domain' | 'facet';
    /** The URL prefix a domain feature owns. Absent on facets. */
    readonly basename?: string;
    readonly domElementId?: string;
    readonly js: readonly string[];
    readonly css: readonly StylesheetRecord[];
    readonly mountExport: string;
    readonly unmountExport: string;
    readonly shadowDOM: boolean;
}
/** The bootstrap document. */
export interface Bootstrap {
    readonly hostVersion: string;
    /** Id of the snapshot that the shell was rendered from. */
    readonly snapshot: string;
    /** How long a feature may take to start, in milliseconds. */
    readonly bootstrapTimeoutMs: number;
    readonly activeFeatureId: string | null;
    readonly features: Readonly<Record<string, FeatureRecord>>;
    /** Where a page asks for the next snapshot, on a development host. Absent elsewhere. */
    readonly liveReload?: string;
}
/** A page without a shell, as in a feature's own unit tests: nothing is served, defaults apply. */
export declare const STANDALONE: Bootstrap;
/** Reads the bootstrap document of a page; `STANDALONE` where there is none. */
export declare function readBootstrap(page: Document): Bootstrap;
/** The domain feature that owns a path: the longest basename that ends at a segment boundary. */
export declare function ownerOf(pathname: string, features: Bootstrap['features']): FeatureRecord | null;
