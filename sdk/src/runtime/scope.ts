import { isolate } from './isolate';

/**
 * What has to be undone when a feature goes.
 *
 * Cleanups run once, last registered first, each isolated from the others. A cleanup registered
 * after the scope closed runs at once: code that finishes late must not leak what it opened.
 */
export class Scope {
  readonly #owner: string;
  #cleanups: Set<() => unknown> | null = new Set();

  constructor(owner: string) {
    this.#owner = owner;
  }

  get closed(): boolean {
    return this.#cleanups === null;
  }

  /** Registers a cleanup and returns a function that withdraws it. */
  add(cleanup: () => unknown): () => void {
    if (this.#cleanups === null) {
      this.#run(cleanup);
      return () => {};
    }
    // A wrapper of its own, so that the same function registered twice counts twice.
    const entry = (): unknown => cleanup();
    this.#cleanups.add(entry);
    return () => void this.#cleanups?.delete(entry);
  }

  close(): void {
    const cleanups = [...(this.#cleanups ?? [])].reverse();
    this.#cleanups = null;
    for (const cleanup of cleanups) this.#run(cleanup);
  }

  #run(cleanup: () => unknown): void {
    isolate(`a cleanup of ${this.#owner}`, cleanup);
  }
}
