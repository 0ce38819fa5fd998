/** Runs code of one party so that its failure cannot stop the others; the failure is logged. */
export declare function isolate(what: string, run: () => unknown): void;
