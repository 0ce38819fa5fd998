import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { watchConnection } from '../src/shell/connection';

let status: HTMLElement;
beforeEach(() => {
  vi.useFakeTimers();
  status = document.createElement('span');
});
afterEach(() => vi.useRealTimers());

test('nothing is said while the browser is online', () => {
  watchConnection(status);
  expect(status.childNodes).toHaveLength(0);
});

test('a page that opens offline says so, by word and by icon', () => {
  vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false);
  watchConnection(status);
  expect(status.textContent).toBe('Offline');
  expect(status.querySelector('svg')?.getAttribute('aria-hidden')).toBe('true');
});

test('being online again is said, and then the bar is quiet', () => {
  watchConnection(status);
  window.dispatchEvent(new Event('offline'));
  window.dispatchEvent(new Event('online'));
  expect(status.textContent).toBe('Online again');
  vi.runAllTimers();
  expect(status.childNodes).toHaveLength(0);
});

test('going offline right after is not silenced by the timer of the good news', () => {
  watchConnection(status);
  window.dispatchEvent(new Event('offline'));
  window.dispatchEvent(new Event('online'));
  window.dispatchEvent(new Event('offline'));
  vi.runAllTimers();
  expect(status.textContent).toBe('Offline');
});
