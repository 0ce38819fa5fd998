import { isolate } from './isolate';

/** Receives the payload of one event. */
export type EventHandler = (payload: unknown) => void;

/**
 * Events between features, delivered synchronously, in order of subscription.
 * There is no replay: who subscribes later asks the store for the current state.
 */
export class EventBus {
  readonly #handlers = new Map<string, Set<EventHandler>>();

  publish(namespace: string, event: string, payload?: unknown): void {
    const key = keyOf(namespace, event);
    // A copy, so that a handler may subscribe or unsubscribe while the event is delivered.
    for (const handler of [...(this.#handlers.get(key) ?? [])]) {
      isolate(`a subscriber of ${key}`, () => handler(payload));
    }
  }

  /** Returns the function that ends the subscription. */
  subscribe(namespace: string, event: string, handler: EventHandler): () => void {
    const key = keyOf(namespace, event);
    const entry: EventHandler = (payload) => handler(payload);
    const handlers = this.#handlers.get(key) ?? new Set();
    this.#handlers.set(key, handlers.add(entry));
    return () => {
      handlers.delete(entry);
      if (handlers.size === 0 && this.#handlers.get(key) === handlers) this.#handlers.delete(key);
    };
  }
}

function keyOf(namespace: string, event: string): string {
  return `${namespace}:${event}`;
}
