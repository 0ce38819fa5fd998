import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { byId, deferred, domain, openPage, panelsIn, settle, textOf } from './page-fixture';

let log: ReturnType<typeof vi.spyOn>;
beforeEach(() => {
  log = vi.spyOn(console, 'error').mockImplementation(() => {});
});
afterEach(() => vi.useRealTimers());

const list = domain('list');

describe('starting a feature', () => {
  test('mount gets the element of the manifest and where it runs', async () => {
    const mount = vi.fn();
    const page = openPage([list], { '/list.js': { mount } });
    page.slot.enter(list);
    expect(page.main.getAttribute('aria-busy')).toBe('true');
    await settle();
    expect(mount).toHaveBeenCalledOnce();
    expect(mount.mock.calls[0]?.[0]).toBe(byId('list-root'));
    expect(mount.mock.calls[0]?.[1]).toMatchObject({
      featureId: 'list',
      version: '1.0.0',
      basename: '/list',
      domElementId: 'list-root',
      hostVersion: '1.2.3',
      shadowRoot: null,
    });
    expect(page.main.hasAttribute('aria-busy')).toBe(false);
  });

  test('the element that the host rendered is used, so that nothing shifts', async () => {
    const page = openPage([list], { '/list.js': { mount: () => {} } });
    page.main.innerHTML = '<div id="list-root" class="pilar-feature"></div>';
    const rendered = byId('list-root');
    page.slot.enter(list);
    await settle();
    expect(byId('list-root')).toBe(rendered);
  });

  test('entries are imported in order and the last one that exports mount is mounted', async () => {
    const order: string[] = [];
    const first = vi.fn();
    const second = vi.fn();
    const feature = domain('list', { js: ['/1.js', '/2.js', '/3.js'], mountExport: 'begin' });
    const page = openPage([feature], {
      '/1.js': () => (order.push('1'), { begin: first }),
      '/2.js': () => (order.push('2'), { begin: second }),
      '/3.js': () => (order.push('3'), {}),
    });
    page.slot.enter(feature);
    await settle();
    expect(order).toEqual(['1', '2', '3']);
    expect(first).not.toHaveBeenCalled();
    expect(second).toHaveBeenCalledOnce();
  });

  test('no code of a feature runs before its stylesheets apply', async () => {
    const sheet = deferred<void>();
    const feature = domain('list', { css: [{ href: '/list.css', integrity: 'sha256-x' }] });
    const page = openPage([feature], { '/list.js': { mount: () => {} } });
    page.platform.stylesheetLoaded.mockReturnValue(sheet.promise);
    page.slot.enter(feature);
    await settle();
    expect(page.platform.importModule).not.toHaveBeenCalled();
    const link = document.head.querySelector('link');
    expect(link?.getAttribute('href')).toBe('/list.css');
    expect(link?.getAttribute('integrity')).toBe('sha256-x');
    sheet.resolve();
    await settle();
    expect(page.platform.importModule).toHaveBeenCalledOnce();
    page.slot.leave();
    expect(document.head.querySelector('link')).toBeNull();
  });
});

describe('leaving a feature', () => {
  test('everything registered runs once, whatever way it was registered', async () => {
    const calls: string[] = [];
    const page = openPage([list], {
      '/list.js': {
        mount: (_element: HTMLElement, context: { host: { lifecycle: { onCleanup(run: () => void): void } } }) => {
          page.runtime.scopeOf('list').add(() => calls.push('registered'));
          context.host.lifecycle.onCleanup(() => calls.push('cleanup'));
        },
        unmount: (element: HTMLElement) => calls.push(`unmount ${element.id}`),
      },
    });
    page.slot.enter(list);
    await settle();
    page.slot.leave();
    page.slot.leave();
    expect(calls).toEqual(['unmount list-root', 'cleanup', 'registered']);
    expect(page.main.childElementCount).toBe(0);
  });

  test('the function that mount returned takes the place of the unmount export', async () => {
    const returned = vi.fn();
    const unmount = vi.fn();
    const page = openPage([list], { '/list.js': { mount: async () => returned, unmount } });
    page.slot.enter(list);
    await settle();
    page.slot.leave();
    expect(returned).toHaveBeenCalledOnce();
    expect(unmount).not.toHaveBeenCalled();
  });

  test('a mount that finishes after the feature was left is undone, once', async () => {
    const mounting = deferred<() => void>();
    const undo = vi.fn();
    const page = openPage([list], { '/list.js': { mount: () => mounting.promise } });
    page.slot.enter(list);
    await settle();
    page.slot.leave();
    expect(undo).not.toHaveBeenCalled();
    mounting.resolve(undo);
    await settle();
    expect(undo).toHaveBeenCalledOnce();
    expect(panelsIn(page.main)).toEqual([]);
  });
});

describe('a feature that does not start', () => {
  test.each([
    ['the import is refused', 'load-failed', {}],
    ['mount throws', 'mount-failed', { '/list.js': { mount: () => { throw new Error('no'); } } }],
    ['mount rejects', 'mount-failed', { '/list.js': { mount: () => Promise.reject(new Error('no')) } }],
  ])('when %s, a panel stands in its place', async (_when, code, modules) => {
    const page = openPage([list], modules);
    page.slot.enter(list);
    await settle();
    const [panel, ...others] = panelsIn(page.main);
    expect(others).toEqual([]);
    expect(panel?.dataset['pilarFailure']).toBe(code);
    expect(panel?.getAttribute('role')).toBe('alert');
    expect(document.activeElement).toBe(panel);
    expect(textOf(panel)).toContain('The list');
    expect(textOf(panel)).toContain('This part could not start');
    expect(textOf(panel)).toContain('Version 1.0.0, snapshot snap-1');
    expect(byId('list-root').style.display).toBe('none');
  });

  test('a refused stylesheet is a failed start: nothing unstyled is shown', async () => {
    const feature = domain('list', { css: [{ href: '/list.css', integrity: 'sha256-x' }] });
    const mount = vi.fn();
    const page = openPage([feature], { '/list.js': { mount } });
    page.platform.stylesheetLoaded.mockRejectedValue(new Error('integrity'));
    page.slot.enter(feature);
    await settle();
    expect(mount).not.toHaveBeenCalled();
    expect(panelsIn(page.main)).toHaveLength(1);
  });

  test('the reference in the panel is the one in the console', async () => {
    const page = openPage([list], {});
    page.slot.enter(list);
    await settle();
    const reference = panelsIn(page.main)[0]?.shadowRoot?.querySelector('code')?.textContent ?? 'none';
    expect(reference).toMatch(/^[2-9A-Z]{3}-[2-9A-Z]{3}$/);
    expect(String(log.mock.calls[0]?.[0])).toContain(reference);
  });

  test('focus that is elsewhere stays there', async () => {
    const page = openPage([list], {});
    const link = document.querySelector<HTMLElement>('.pilar-switcher a');
    link?.focus();
    page.slot.enter(list);
    await settle();
    expect(panelsIn(page.main)).toHaveLength(1);
    expect(document.activeElement).toBe(link);
  });

  test('what it registered before it failed is cleaned up', async () => {
    const cleanup = vi.fn();
    const page = openPage([list], {
      '/list.js': {
        mount: () => {
          page.runtime.scopeOf('list').add(cleanup);
          throw new Error('no');
        },
      },
    });
    page.slot.enter(list);
    await settle();
    expect(cleanup).toHaveBeenCalledOnce();
  });

  test('after the bootstrap timeout the panel comes, and a late start replaces it', async () => {
    vi.useFakeTimers();
    const mounting = deferred<void>();
    const page = openPage([list], { '/list.js': { mount: () => mounting.promise } });
    page.slot.enter(list);
    await vi.advanceTimersByTimeAsync(999);
    expect(panelsIn(page.main)).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(panelsIn(page.main)[0]?.dataset['pilarFailure']).toBe('bootstrap-timeout');
    expect(byId('list-root').style.display).toBe('none');
    mounting.resolve();
    await vi.advanceTimersByTimeAsync(0);
    expect(panelsIn(page.main)).toEqual([]);
    expect(byId('list-root').style.display).toBe('');
  });

  test('a failure after the timeout replaces the panel and stays', async () => {
    vi.useFakeTimers();
    const mounting = deferred<void>();
    const page = openPage([list], { '/list.js': { mount: () => mounting.promise } });
    page.slot.enter(list);
    await vi.advanceTimersByTimeAsync(1000);
    mounting.reject(new Error('no'));
    await vi.advanceTimersByTimeAsync(0);
    expect(panelsIn(page.main).map((panel) => panel.dataset['pilarFailure'])).toEqual(['mount-failed']);
  });

  test('Try again mends the cache and then loads the document again', async () => {
    const page = openPage([list], {});
    const mended = deferred<void>();
    page.platform.refresh.mockReturnValue(mended.promise);
    page.slot.enter(list);
    await settle();
    panelsIn(page.main)[0]?.shadowRoot?.querySelector('button')?.click();
    await settle();
    expect(page.platform.refresh).toHaveBeenCalledOnce();
    expect(page.platform.reload).not.toHaveBeenCalled();
    mended.resolve();
    await settle();
    expect(page.platform.reload).toHaveBeenCalledOnce();
  });

  test('Try again keeps the page while the server is silent', async () => {
    const page = openPage([list], {});
    page.platform.reachable.mockResolvedValue(false);
    page.slot.enter(list);
    await settle();
    const [panel] = panelsIn(page.main);
    const button = panel?.shadowRoot?.querySelector('button');
    button?.click();
    await settle();
    expect(page.platform.reload).not.toHaveBeenCalled();
    expect(textOf(panel)).toContain('The server does not answer');
    expect(button?.disabled).toBe(false);
  });
});

describe('a feature that starts by being imported', () => {
  test('is ready when it registers its unmount, which runs once', async () => {
    vi.useFakeTimers();
    const unmount = vi.fn();
    const page = openPage([list], {
      '/list.js': () => {
        page.runtime.mountElement('list-root').textContent = 'started';
        page.runtime.scopeOf('list').add(unmount);
        page.runtime.signal('list');
        return {};
      },
    });
    page.slot.enter(list);
    await vi.advanceTimersByTimeAsync(5000);
    expect(panelsIn(page.main)).toEqual([]);
    expect(byId('list-root').textContent).toBe('started');
    page.slot.leave();
    expect(unmount).toHaveBeenCalledOnce();
  });

  test('that never says so gets the panel, and a late word replaces it', async () => {
    vi.useFakeTimers();
    const page = openPage([list], { '/list.js': {} });
    page.slot.enter(list);
    await vi.advanceTimersByTimeAsync(1000);
    expect(panelsIn(page.main)).toHaveLength(1);
    page.runtime.signal('list');
    expect(panelsIn(page.main)).toEqual([]);
  });

  test('that arrives after it was left draws into a detached element and is unmounted at once', async () => {
    const loading = deferred<Record<string, unknown>>();
    const unmount = vi.fn();
    const page = openPage([list], { '/list.js': () => loading.promise });
    page.slot.enter(list);
    await settle();
    page.slot.leave();
    expect(page.runtime.mountElement('list-root').isConnected).toBe(false);
    page.runtime.scopeOf('list').add(unmount);
    page.runtime.signal('list');
    loading.resolve({});
    await settle();
    expect(unmount).toHaveBeenCalledOnce();
    expect(page.main.childElementCount).toBe(0);
  });
});

describe('isolation in a shadow root', () => {
  const isolated = domain('list', { shadowDOM: true, css: [{ href: '/list.css', integrity: 'sha256-x' }] });

  test('the feature and its stylesheets are inside, and the page has none of them', async () => {
    const mount = vi.fn();
    const page = openPage([isolated], { '/list.js': { mount } });
    page.slot.enter(isolated);
    await settle();
    const root = byId('list-root').shadowRoot;
    const [element, context] = mount.mock.calls[0] ?? [];
    expect(element.getRootNode()).toBe(root);
    expect(context.shadowRoot).toBe(root);
    expect(root?.querySelector('link')?.getAttribute('integrity')).toBe('sha256-x');
    expect(document.head.querySelector('link')).toBeNull();
    expect(page.runtime.shadowRoot()).toBe(root);
    expect(page.runtime.shadowRoot('list')).toBe(root);
    expect(page.runtime.mountElement('list-root')).toBe(element);
  });

  test('a feature without isolation has no shadow root, also not that of the one before', async () => {
    const other = domain('other');
    const page = openPage([isolated, other], { '/list.js': { mount: () => {} }, '/other.js': { mount: () => {} } });
    page.slot.enter(isolated);
    await settle();
    page.slot.enter(other);
    await settle();
    expect(page.runtime.shadowRoot()).toBeNull();
    expect(page.runtime.shadowRoot('list')).toBeNull();
  });
});
