export interface Platform {
    /** Imports a module by URL; the import map of the page holds its integrity. */
    importModule(url: string): Promise<Readonly<Record<string, unknown>>>;
    /** Settles when a stylesheet was applied or refused; called before its link enters the tree. */
    stylesheetLoaded(link: HTMLLinkElement): Promise<void>;
    /** Leaves for another document. */
    assign(url: string): void;
    /** Loads this document again. */
    reload(): void;
    /** Whether the server answers for the current address. */
    reachable(): Promise<boolean>;
    /** Fetches again what the browser's cache holds with other bytes than these; URL → integrity. */
    refresh(files: ReadonlyMap<string, string>): Promise<void>;
    /** The snapshot that the host serves, as soon as it is another than `current`; null where it stays the same for long. */
    snapshotAfter(path: string, current: string): Promise<string | null>;
}
export declare const browserPlatform: Platform;
