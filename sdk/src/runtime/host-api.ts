import type { EventBus } from './event-bus';
import type { Scope } from './scope';
import type { Store } from './store';

/** What a feature gets from the page it runs in. Everything opened here ends with the feature. */
export interface FeatureHostApi {
  readonly eventBus: {
    publish(namespace: string, event: string, payload?: unknown): void;
    /** Returns the function that ends the subscription. */
    subscribe<T = unknown>(namespace: string, event: string, handler: (payload: T) => void): () => void;
  };
  /** In memory, shared by all features of the page. */
  readonly store: {
    get<T = unknown>(key: string): T | undefined;
    get<T>(key: string, fallback: T): T;
    set(key: string, value: unknown): void;
    /** Returns the function that ends the subscription. */
    onChange<T = unknown>(key: string, handler: (value: T, previous: T | undefined) => void): () => void;
  };
  readonly lifecycle: {
    /** Runs once, when the feature is unmounted; at once when it already is. */
    onCleanup(cleanup: () => unknown): void;
    /** Starts an interval that ends with the feature; returns its handle. */
    trackInterval(callback: () => void, milliseconds: number): IntervalHandle;
    /** Takes over the handle of a running interval, as `setInterval` returned it. */
    trackInterval(handle: IntervalHandle): IntervalHandle;
  };
}

/** What `setInterval` returns: a number in browsers, an object under Node. */
export type IntervalHandle = ReturnType<typeof setInterval> | number;

/**
 * Builds the API over a scope that is looked up at each call: a module-level API object outlives
 * one mounting of its feature and then belongs to the next.
 */
export function createHostApi(bus: EventBus, store: Store, scope: () => Scope): FeatureHostApi {
  const tied = (open: () => () => void): (() => void) => {
    const owner = scope();
    if (owner.closed) return () => {};
    const close = open();
    const withdraw = owner.add(close);
    return () => {
      withdraw();
      close();
    };
  };
  return {
    eventBus: {
      publish: (namespace, event, payload) => bus.publish(namespace, event, payload),
      subscribe: (namespace, event, handler) =>
        tied(() => bus.subscribe(namespace, event, handler as (payload: unknown) => void)),
    },
    store: {
      get: <T>(key: string, fallback?: T) => store.get(key, fallback) as T,
      set: (key, value) => store.set(key, value),
      onChange: (key, handler) =>
        tied(() => store.onChange(key, handler as (value: unknown, previous: unknown) => void)),
    },
    lifecycle: {
      onCleanup: (cleanup) => void scope().add(cleanup),
      trackInterval: (first: IntervalHandle | (() => void), milliseconds?: number) => {
        const handle = typeof first === 'function' ? setInterval(first, milliseconds) : first;
        scope().add(() => clearInterval(handle as ReturnType<typeof setInterval>));
        return handle;
      },
    },
  };
}
