/** Why a feature did not start, in words for a log. */
export declare class StartFailure extends Error {
    readonly code: 'bootstrap-timeout' | 'load-failed' | 'mount-failed' | 'update-failed' | 'unknown-feature' | 'no-mount-export';
    readonly name = "StartFailure";
    /** Short enough to be read out on the phone; the same in the panel and in the console. */
    readonly reference: string;
    constructor(code: 'bootstrap-timeout' | 'load-failed' | 'mount-failed' | 'update-failed' | 'unknown-feature' | 'no-mount-export', message: string, cause?: unknown);
}
