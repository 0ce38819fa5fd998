import type { StylesheetRecord } from './bootstrap';
import type { Platform } from './platform';
/** The stylesheets of features: counted in the page's head, or private to one shadow root. */
export declare class Styles {
    #private;
    constructor(platform: Platform);
    /** Puts a sheet into the head, once however many use it. Returns when it applies and how to give it back. */
    acquire(featureId: string, sheet: StylesheetRecord): {
        loaded: Promise<void>;
        release: () => void;
    };
    /** Puts a sheet into a shadow root, where it ends with the root. */
    attach(featureId: string, sheet: StylesheetRecord, root: ShadowRoot): Promise<void>;
}
