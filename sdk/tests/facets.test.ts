import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { deferred, domain, facet, openPage, panelsIn, settle, textOf } from './page-fixture';

const badge = facet('badge');
let element: HTMLElement;

beforeEach(() => {
  vi.spyOn(console, 'error').mockImplementation(() => {});
  element = document.createElement('div');
});
afterEach(() => vi.useRealTimers());

/** A facet that shows its props. */
function showing() {
  return {
    mount: vi.fn((target: HTMLElement, { props }: { props: string }) => void (target.textContent = props)),
    update: vi.fn((target: HTMLElement, { props }: { props: string }) => void (target.textContent = props)),
    unmount: vi.fn(),
  };
}

describe('mounting a facet', () => {
  test('gives the handle at once and the facet its props when it is loaded', async () => {
    const module = showing();
    const page = openPage([badge], { '/badge.js': module });
    const handle = page.facets.mount('badge', element, 'one');
    expect(module.mount).not.toHaveBeenCalled();
    await handle.ready;
    expect(element.textContent).toBe('one');
    expect(module.mount.mock.calls[0]?.[1]).toMatchObject({ featureId: 'badge', version: '1.0.0', props: 'one' });
  });

  test('leaves what the element held alone', async () => {
    const page = openPage([badge], { '/badge.js': showing() });
    element.append('label: ');
    const handle = page.facets.mount('badge', element, 'one');
    await handle.ready;
    expect(element.textContent).toBe('label: one');
    handle.unmount();
    expect(element.textContent).toBe('label: ');
  });

  test('the same facet many times: each has its props, and one sheet in the page serves all', async () => {
    const styled = facet('badge', { css: [{ href: '/badge.css', integrity: 'sha256-x' }] });
    const page = openPage([styled], { '/badge.js': showing() });
    const handles = ['a', 'b', 'c'].map((props) => page.facets.mount('badge', element, props));
    await Promise.all(handles.map(({ ready }) => ready));
    expect(element.textContent).toBe('abc');
    expect(document.head.querySelectorAll('link')).toHaveLength(1);
    handles[0]?.unmount();
    expect(document.head.querySelectorAll('link')).toHaveLength(1);
    page.facets.unmountAll();
    expect(document.head.querySelectorAll('link')).toHaveLength(0);
  });

  test('with isolation every mounting has its own shadow root with the sheet in it', async () => {
    const isolated = facet('badge', { shadowDOM: true, css: [{ href: '/badge.css', integrity: 'sha256-x' }] });
    const roots: unknown[] = [];
    const page = openPage([isolated], {
      '/badge.js': {
        mount: (target: HTMLElement, { shadowRoot }: { shadowRoot: ShadowRoot }) => {
          expect(target.getRootNode()).toBe(shadowRoot);
          expect(shadowRoot.querySelector('link')?.getAttribute('integrity')).toBe('sha256-x');
          expect(page.runtime.shadowRoot()).toBe(shadowRoot);
          roots.push(shadowRoot);
        },
      },
    });
    await Promise.all([1, 2].map((props) => page.facets.mount('badge', element, props).ready));
    expect(new Set(roots).size).toBe(2);
    expect(page.runtime.shadowRoot()).toBeNull();
    expect(page.runtime.shadowRoot('badge')).toBe(roots[1]);
  });
});

describe('updating a facet', () => {
  test('calls its update with the new props', async () => {
    const module = showing();
    const page = openPage([badge], { '/badge.js': module });
    const handle = page.facets.mount('badge', element, 'one');
    await handle.ready;
    handle.update('two');
    expect(element.textContent).toBe('two');
    expect(module.mount).toHaveBeenCalledOnce();
  });

  test('before it is loaded only the latest props arrive', async () => {
    const module = showing();
    const page = openPage([badge], { '/badge.js': module });
    const handle = page.facets.mount('badge', element, 'one');
    handle.update('two');
    handle.update('three');
    await handle.ready;
    expect(module.mount.mock.calls.map(([, { props }]) => props)).toEqual(['three']);
    expect(module.update).not.toHaveBeenCalled();
  });

  test('while mount is running the new props arrive after it', async () => {
    const mounting = deferred<void>();
    const module = { ...showing(), mount: vi.fn(() => mounting.promise) };
    const page = openPage([badge], { '/badge.js': module });
    const handle = page.facets.mount('badge', element, 'one');
    await settle();
    handle.update('two');
    expect(module.update).not.toHaveBeenCalled();
    mounting.resolve();
    await handle.ready;
    await settle();
    expect(element.textContent).toBe('two');
  });

  test('without an update export it is mounted anew, undone before', async () => {
    const order: string[] = [];
    const page = openPage([badge], {
      '/badge.js': {
        mount: (_target: HTMLElement, { props }: { props: string }) => {
          order.push(`mount ${props}`);
          return () => order.push(`undo ${props}`);
        },
      },
    });
    const handle = page.facets.mount('badge', element, 'one');
    await handle.ready;
    handle.update('two');
    await settle();
    handle.unmount();
    expect(order).toEqual(['mount one', 'undo one', 'mount two', 'undo two']);
  });

  test('that throws takes the old content away, so that nothing outdated is believed', async () => {
    const module = {
      ...showing(),
      update: () => {
        throw new Error('no');
      },
    };
    const page = openPage([badge], { '/badge.js': module });
    const handle = page.facets.mount('badge', element, 'one');
    await handle.ready;
    handle.update('two');
    await settle();
    expect(element.textContent).not.toContain('one');
    expect(panelsIn(element)[0]?.dataset['pilarFailure']).toBe('update-failed');
    expect(module.unmount).toHaveBeenCalledOnce();
  });
});

describe('unmounting a facet', () => {
  test('runs its unmount and cleanups once and empties the element', async () => {
    const cleanup = vi.fn();
    const module = {
      mount: (_target: HTMLElement, { host }: { host: { lifecycle: { onCleanup(run: () => void): void } } }) =>
        host.lifecycle.onCleanup(cleanup),
      unmount: vi.fn(),
    };
    const page = openPage([badge], { '/badge.js': module });
    const handle = page.facets.mount('badge', element, 'one');
    await handle.ready;
    handle.unmount();
    handle.unmount();
    expect(module.unmount).toHaveBeenCalledOnce();
    expect(cleanup).toHaveBeenCalledOnce();
    expect(element.childElementCount).toBe(0);
  });

  test('what one mounting registers by feature id ends with it, not with its siblings', async () => {
    const gone: string[] = [];
    const page = openPage([badge], {
      '/badge.js': {
        mount: (_target: HTMLElement, { props }: { props: string }) =>
          void page.runtime.scopeOf('badge').add(() => gone.push(props)),
      },
    });
    const first = page.facets.mount('badge', element, 'first');
    const second = page.facets.mount('badge', element, 'second');
    await Promise.all([first.ready, second.ready]);
    first.unmount();
    expect(gone).toEqual(['first']);
    second.unmount();
    expect(gone).toEqual(['first', 'second']);
  });

  test('before it is loaded means that it is never mounted', async () => {
    const module = showing();
    const page = openPage([badge], { '/badge.js': module });
    page.facets.mount('badge', element, 'one').unmount();
    await settle();
    expect(module.mount).not.toHaveBeenCalled();
    expect(element.childElementCount).toBe(0);
  });

  test('happens to every facet when the domain feature around it goes', async () => {
    const module = showing();
    const list = domain('list');
    const page = openPage([list, badge], {
      '/badge.js': module,
      '/list.js': { mount: (target: HTMLElement) => void page.facets.mount('badge', target, 'one') },
    });
    page.slot.enter(list);
    await settle();
    page.slot.leave();
    expect(module.unmount).toHaveBeenCalledOnce();
  });
});

describe('a facet that does not start', () => {
  test.each([
    ['is not served', 'unknown-feature', 'nobody', {}],
    ['is a domain feature', 'unknown-feature', 'list', {}],
    ['cannot be loaded', 'load-failed', 'badge', {}],
    ['exports no mount', 'no-mount-export', 'badge', { '/badge.js': {} }],
    ['throws', 'mount-failed', 'badge', { '/badge.js': { mount: () => { throw new Error('no'); } } }],
  ])('because it %s shows a small panel and rejects ready', async (_why, code, id, modules) => {
    const page = openPage([badge, domain('list')], modules);
    const handle = page.facets.mount(id, element, {});
    await expect(handle.ready).rejects.toMatchObject({ code });
    const [panel] = panelsIn(element);
    expect(panel?.dataset['pilarFailure']).toBe(code);
    expect(textOf(panel)).toContain('this part could not start');
    expect(panel?.shadowRoot?.querySelector('button')).toBeNull();
    handle.update({});
    handle.unmount();
    expect(element.childElementCount).toBe(0);
  });

  test('in time shows the panel, and a late start replaces it', async () => {
    vi.useFakeTimers();
    const mounting = deferred<void>();
    const page = openPage([badge], { '/badge.js': { mount: () => mounting.promise } });
    const handle = page.facets.mount('badge', element, {});
    const refused = expect(handle.ready).rejects.toMatchObject({ code: 'bootstrap-timeout' });
    await vi.advanceTimersByTimeAsync(1000);
    await refused;
    expect(panelsIn(element)).toHaveLength(1);
    mounting.resolve();
    await vi.advanceTimersByTimeAsync(0);
    expect(panelsIn(element)).toHaveLength(0);
  });

  test('for wrong bytes has them replaced once, however often it is on the page', async () => {
    const page = openPage([badge], {});
    page.platform.refresh.mockReturnValue(new Promise(() => {}));
    const handles = [1, 2, 3].map((props) => page.facets.mount('badge', element, props));
    await Promise.allSettled(handles.map(({ ready }) => ready));
    expect(page.platform.refresh).toHaveBeenCalledOnce();
  });
});
