import { isolate } from './isolate';

/** Receives the new and the previous value of one key. */
export type ChangeHandler = (value: unknown, previous: unknown) => void;

/** State shared by the features of one page. It lives in memory and ends with the document. */
export class Store {
  readonly #values = new Map<string, unknown>();
  readonly #handlers = new Map<string, Set<ChangeHandler>>();

  get(key: string, fallback?: unknown): unknown {
    return this.#values.has(key) ? this.#values.get(key) : fallback;
  }

  /** Tells the listeners, unless the value is the one already held (`Object.is`). */
  set(key: string, value: unknown): void {
    const previous = this.#values.get(key);
    if (this.#values.has(key) && Object.is(previous, value)) return;
    this.#values.set(key, value);
    for (const handler of [...(this.#handlers.get(key) ?? [])]) {
      isolate(`a store listener on ${key}`, () => handler(value, previous));
    }
  }

  /** Returns the function that ends the subscription. */
  onChange(key: string, handler: ChangeHandler): () => void {
    const entry: ChangeHandler = (value, previous) => handler(value, previous);
    const handlers = this.#handlers.get(key) ?? new Set();
    this.#handlers.set(key, handlers.add(entry));
    return () => {
      handlers.delete(entry);
      if (handlers.size === 0 && this.#handlers.get(key) === handlers) this.#handlers.delete(key);
    };
  }
}
