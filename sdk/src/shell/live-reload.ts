import type { Platform } from '../runtime/platform';

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5000;

/**
 * Loads the document again as soon as the host serves another snapshot than the one it came from.
 * For development: elsewhere the host names no `path` to ask.
 */
export async function reloadOnChange(path: string, snapshot: string, platform: Platform): Promise<void> {
  let pause = FIRST_PAUSE_MS;
  for (;;) {
    // Each waiting page holds a connection, and browsers allow six of them to one host.
    await visible();
    try {
      const latest = await platform.snapshotAfter(path, snapshot);
      if (latest !== null && latest !== snapshot) {
        platform.reload();
        return;
      }
      pause = FIRST_PAUSE_MS;
    } catch {
      // The host is being restarted, most likely. It is worth waiting for, but not worth a word.
      await new Promise((resolve) => setTimeout(resolve, pause));
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  }
}

/** Settles when the page can be seen. */
async function visible(): Promise<void> {
  while (document.visibilityState === 'hidden') {
    await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
  }
}
