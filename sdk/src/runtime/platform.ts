// What the runtime asks of the browser and cannot do in a unit test.

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

export const browserPlatform: Platform = {
  importModule: (url) => import(/* @vite-ignore */ url) as Promise<Record<string, unknown>>,
  stylesheetLoaded: (link) =>
    new Promise((resolve, reject) => {
      link.addEventListener('load', () => resolve(), { once: true });
      link.addEventListener('error', () => reject(new Error(`stylesheet ${link.href} was refused or not found`)), {
        once: true,
      });
    }),
  assign: (url) => location.assign(url),
  reload: () => location.reload(),
  reachable: async () => {
    try {
      await fetch(location.href, { method: 'HEAD', cache: 'no-store' });
      return true;
    } catch {
      return false;
    }
  },
  refresh: async (files) => {
    await Promise.all(
      Array.from(files, async ([url, integrity]) => {
        try {
          await fetch(url, { integrity });
        } catch {
          // What it brings is checked by the next document; here it only has to replace the cached copy.
          await fetch(url, { cache: 'reload' }).catch(() => {});
        }
      }),
    );
  },
  snapshotAfter: async (path, current) => {
    const reply = await fetch(`${path}?current=${encodeURIComponent(current)}`, { cache: 'no-store' });
    if (reply.status === 204) return null;
    if (!reply.ok) throw new Error(`${path} answered ${reply.status}`);
    return ((await reply.json()) as { snapshot: string }).snapshot;
  },
};
