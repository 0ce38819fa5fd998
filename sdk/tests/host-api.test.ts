import { afterEach, describe, expect, test, vi } from 'vitest';
import { EventBus } from '../src/runtime/event-bus';
import { createHostApi } from '../src/runtime/host-api';
import { Scope } from '../src/runtime/scope';
import { Store } from '../src/runtime/store';

const bus = new EventBus();
const store = new Store();

function apiFor(scope: Scope) {
  return createHostApi(bus, store, () => scope);
}

afterEach(() => vi.useRealTimers());

describe('event bus', () => {
  test('delivers an event to the subscribers of its namespace and name only, in order', () => {
    const seen: string[] = [];
    const api = apiFor(new Scope('a'));
    api.eventBus.subscribe('lab', 'result', (payload) => seen.push(`first ${payload}`));
    api.eventBus.subscribe('lab', 'result', (payload) => seen.push(`second ${payload}`));
    api.eventBus.subscribe('lab', 'order', () => seen.push('order'));
    api.eventBus.subscribe('ward', 'result', () => seen.push('ward'));
    api.eventBus.publish('lab', 'result', 7);
    expect(seen).toEqual(['first 7', 'second 7']);
  });

  test('a subscriber that throws does not stop the others or the publisher', () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {});
    const heard = vi.fn();
    const api = apiFor(new Scope('a'));
    api.eventBus.subscribe('x', 'throws', () => {
      throw new Error('no');
    });
    api.eventBus.subscribe('x', 'throws', heard);
    api.eventBus.publish('x', 'throws');
    expect(heard).toHaveBeenCalledOnce();
    expect(log).toHaveBeenCalledOnce();
  });

  test('unsubscribing while an event is delivered does not skip the others', () => {
    const last = vi.fn();
    const api = apiFor(new Scope('a'));
    const unsubscribe = api.eventBus.subscribe('x', 'leave', () => unsubscribe());
    api.eventBus.subscribe('x', 'leave', last);
    api.eventBus.publish('x', 'leave');
    api.eventBus.publish('x', 'leave');
    expect(last).toHaveBeenCalledTimes(2);
  });

  test('subscriptions end with the feature that made them, and with no other', () => {
    const mine = vi.fn();
    const theirs = vi.fn();
    const scope = new Scope('a');
    apiFor(scope).eventBus.subscribe('x', 'end', mine);
    apiFor(new Scope('b')).eventBus.subscribe('x', 'end', theirs);
    scope.close();
    bus.publish('x', 'end');
    expect(mine).not.toHaveBeenCalled();
    expect(theirs).toHaveBeenCalledOnce();
  });

  test('a feature that is gone cannot subscribe any more', () => {
    const scope = new Scope('a');
    const heard = vi.fn();
    scope.close();
    apiFor(scope).eventBus.subscribe('x', 'late', heard);
    bus.publish('x', 'late');
    expect(heard).not.toHaveBeenCalled();
  });
});

describe('store', () => {
  test('get falls back only where nothing was set, also not for null and undefined', () => {
    const api = apiFor(new Scope('a'));
    expect(api.store.get('s.unset', 1)).toBe(1);
    api.store.set('s.null', null);
    api.store.set('s.undefined', undefined);
    expect(api.store.get<unknown>('s.null', 1)).toBeNull();
    expect(api.store.get<unknown>('s.undefined', 1)).toBeUndefined();
  });

  test('features share values, and listeners hear a change with the value before', () => {
    const heard = vi.fn();
    const reader = apiFor(new Scope('reader'));
    const stop = reader.store.onChange('s.shared', heard);
    const writer = apiFor(new Scope('writer'));
    writer.store.set('s.shared', 'a');
    writer.store.set('s.shared', 'a');
    writer.store.set('s.shared', 'b');
    stop();
    writer.store.set('s.shared', 'c');
    expect(heard.mock.calls).toEqual([
      ['a', undefined],
      ['b', 'a'],
    ]);
    expect(reader.store.get('s.shared')).toBe('c');
  });

  test('listeners end with the feature, values stay', () => {
    const scope = new Scope('a');
    const heard = vi.fn();
    const api = apiFor(scope);
    api.store.onChange('s.stay', heard);
    api.store.set('s.stay', 1);
    scope.close();
    store.set('s.stay', 2);
    expect(heard).toHaveBeenCalledOnce();
    expect(store.get('s.stay')).toBe(2);
  });
});

describe('lifecycle', () => {
  test('cleanups run once, last first, each whatever the others do', () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {});
    const order: string[] = [];
    const scope = new Scope('a');
    const { lifecycle } = apiFor(scope);
    lifecycle.onCleanup(() => order.push('first'));
    lifecycle.onCleanup(() => {
      throw new Error('no');
    });
    lifecycle.onCleanup(() => order.push('last'));
    scope.close();
    scope.close();
    expect(order).toEqual(['last', 'first']);
    expect(log).toHaveBeenCalledOnce();
  });

  test('a cleanup registered after the feature went runs at once', () => {
    const scope = new Scope('a');
    scope.close();
    const cleanup = vi.fn();
    apiFor(scope).lifecycle.onCleanup(cleanup);
    expect(cleanup).toHaveBeenCalledOnce();
  });

  test('a tracked interval ends with the feature, started here or taken over', () => {
    vi.useFakeTimers();
    const started = vi.fn();
    const taken = vi.fn();
    const scope = new Scope('a');
    const { lifecycle } = apiFor(scope);
    lifecycle.trackInterval(started, 100);
    lifecycle.trackInterval(setInterval(taken, 100));
    vi.advanceTimersByTime(250);
    scope.close();
    vi.advanceTimersByTime(1000);
    expect(started).toHaveBeenCalledTimes(2);
    expect(taken).toHaveBeenCalledTimes(2);
  });
});
