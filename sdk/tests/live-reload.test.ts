import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { browserPlatform } from '../src/runtime/platform';
import { reloadOnChange } from '../src/shell/live-reload';
import { deferred, openPage } from './page-fixture';

const PATH = '/_dev/snapshot';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test('another snapshot loads the document again, once', async () => {
  const { platform } = openPage([], {});
  platform.snapshotAfter.mockResolvedValueOnce('snap-2');
  await reloadOnChange(PATH, 'snap-1', platform);
  expect(platform.snapshotAfter.mock.calls).toEqual([[PATH, 'snap-1']]);
  expect(platform.reload).toHaveBeenCalledOnce();
});

test('while the snapshot stays the same, the page stays and asks again', async () => {
  const { platform } = openPage([], {});
  platform.snapshotAfter.mockResolvedValueOnce(null).mockResolvedValueOnce('snap-1').mockResolvedValueOnce('snap-2');
  await reloadOnChange(PATH, 'snap-1', platform);
  expect(platform.snapshotAfter).toHaveBeenCalledTimes(3);
  expect(platform.reload).toHaveBeenCalledOnce();
});

test('a host that is away is asked again, with ever longer pauses', async () => {
  const { platform } = openPage([], {});
  platform.snapshotAfter.mockRejectedValue(new TypeError('Failed to fetch'));
  const asked = () => platform.snapshotAfter.mock.calls.length;
  void reloadOnChange(PATH, 'snap-1', platform);
  await vi.advanceTimersByTimeAsync(2000);
  const inTheFirstSeconds = asked();
  await vi.advanceTimersByTimeAsync(60_000);
  const afterAMinute = asked();
  expect(inTheFirstSeconds).toBeGreaterThan(1);
  await vi.advanceTimersByTimeAsync(2000);
  expect(asked() - afterAMinute).toBeLessThan(inTheFirstSeconds - 1);
  platform.snapshotAfter.mockResolvedValueOnce('snap-2');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(platform.reload).toHaveBeenCalledOnce();
});

test('a hidden page does not ask until it is seen', async () => {
  const { platform } = openPage([], {});
  const visibility = vi.spyOn(document, 'visibilityState', 'get').mockReturnValue('hidden');
  const answer = deferred<null>();
  platform.snapshotAfter.mockReturnValue(answer.promise);
  void reloadOnChange(PATH, 'snap-1', platform);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(platform.snapshotAfter).not.toHaveBeenCalled();
  visibility.mockReturnValue('visible');
  document.dispatchEvent(new Event('visibilitychange'));
  await vi.advanceTimersByTimeAsync(0);
  expect(platform.snapshotAfter).toHaveBeenCalledOnce();
});

test('the host is asked by the snapshot that the page has', async () => {
  const fetched = vi.fn(async (_url: string) => new Response('{"snapshot":"b"}'));
  vi.stubGlobal('fetch', fetched);
  expect(await browserPlatform.snapshotAfter(PATH, 'a+1')).toBe('b');
  expect(fetched.mock.calls[0]?.[0]).toBe('/_dev/snapshot?current=a%2B1');
  fetched.mockResolvedValueOnce(new Response(null, { status: 204 }));
  expect(await browserPlatform.snapshotAfter(PATH, 'a')).toBeNull();
  fetched.mockResolvedValueOnce(new Response('busy', { status: 503 }));
  await expect(browserPlatform.snapshotAfter(PATH, 'a')).rejects.toThrow('/_dev/snapshot answered 503');
});
