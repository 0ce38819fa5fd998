/**
 * What has to be undone when a feature goes.
 *
 * Cleanups run once, last registered first, each isolated from the others. A cleanup registered
 * after the scope closed runs at once: code that finishes late must not leak what it opened.
 */
export declare class Scope {
    #private;
    constructor(owner: string);
    get closed(): boolean;
    /** Registers a cleanup and returns a function that withdraws it. */
    add(cleanup: () => unknown): () => void;
    close(): void;
}
