import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ownerOf } from '../src/runtime/bootstrap';
import { byId, deferred, domain, openPage, settle, switcherLink } from './page-fixture';

const list = domain('list');
const dates = domain('dates');

let page: ReturnType<typeof openPage>;
afterEach(() => page?.close());
beforeEach(() => {
  vi.spyOn(window, 'scrollTo').mockImplementation(() => {});
  vi.spyOn(console, 'error').mockImplementation(() => {});
});

/** A page with the list on it and both features mountable; `log` tells who came and went. */
async function openList(): Promise<string[]> {
  const log: string[] = [];
  const moduleOf = (name: string) => ({
    mount: () => void log.push(`mount ${name}`),
    unmount: () => void log.push(`unmount ${name}`),
  });
  page = openPage([list, dates], { '/list.js': moduleOf('list'), '/dates.js': moduleOf('dates') }, '/list');
  page.slot.enter(list);
  await settle();
  return log;
}

/** Clicks and says whether the shell took the click over. jsdom would otherwise try to navigate. */
function click(target: Element, init: MouseEventInit = {}): boolean {
  const event = new MouseEvent('click', { bubbles: true, cancelable: true, composed: true, ...init });
  let taken = false;
  const last = (seen: Event): void => {
    taken = seen.defaultPrevented;
    seen.preventDefault();
  };
  window.addEventListener('click', last, { once: true });
  target.dispatchEvent(event);
  window.removeEventListener('click', last);
  return taken;
}

function link(href: string, attributes: Record<string, string> = {}): HTMLAnchorElement {
  const anchor = document.createElement('a');
  anchor.href = href;
  for (const [name, value] of Object.entries(attributes)) anchor.setAttribute(name, value);
  byId('list-root').append(anchor);
  return anchor;
}

describe('a click on a link to another feature', () => {
  test('unmounts the one, then mounts the other, without a new document', async () => {
    const log = await openList();
    expect(click(switcherLink('dates'))).toBe(true);
    await settle();
    expect(log).toEqual(['mount list', 'unmount list', 'mount dates']);
    expect(location.pathname).toBe('/dates');
    expect(byId('dates-root').parentElement).toBe(page.main);
    expect(document.getElementById('list-root')).toBeNull();
  });

  test('the bar, the document title, the focus and the announcer follow', async () => {
    await openList();
    click(switcherLink('dates'));
    expect(document.title).toBe('The dates · Pilar');
    expect(byId('pilar-title').textContent).toBe('The dates');
    expect(switcherLink('dates').getAttribute('aria-current')).toBe('page');
    expect(switcherLink('list').hasAttribute('aria-current')).toBe(false);
    expect(document.activeElement).toBe(page.main);
    expect(byId('pilar-announcer').textContent).toBe('The dates');
  });

  test('keeps query and fragment for the feature', async () => {
    await openList();
    click(link('/dates/7?day=2#note'));
    expect(location.pathname + location.search + location.hash).toBe('/dates/7?day=2#note');
  });

  test('counts once when it is a double click', async () => {
    const log = await openList();
    expect(click(switcherLink('dates'), { detail: 1 })).toBe(true);
    expect(click(switcherLink('dates'), { detail: 2 })).toBe(true);
    await settle();
    expect(log).toEqual(['mount list', 'unmount list', 'mount dates']);
  });

  test('works on an element within the link, and inside a shadow root', async () => {
    await openList();
    const root = byId('list-root').attachShadow({ mode: 'open' });
    root.innerHTML = '<a href="/dates"><b>Dates</b></a>';
    expect(click(root.querySelector('b') as Element)).toBe(true);
  });

  test('the old feature is gone before the address changes', async () => {
    let seen = '';
    page = openPage(
      [list, dates],
      { '/list.js': { mount: () => () => (seen = location.pathname) }, '/dates.js': { mount: () => {} } },
      '/list',
    );
    page.slot.enter(list);
    await settle();
    click(switcherLink('dates'));
    expect(seen).toBe('/list');
  });
});

describe('a click that the shell leaves alone', () => {
  test.each([
    ['with ctrl', () => [switcherLink('dates'), { ctrlKey: true }]],
    ['with meta', () => [switcherLink('dates'), { metaKey: true }]],
    ['with shift', () => [switcherLink('dates'), { shiftKey: true }]],
    ['with alt', () => [switcherLink('dates'), { altKey: true }]],
    ['with another button', () => [switcherLink('dates'), { button: 1 }]],
    ['to another window', () => [link('/dates', { target: '_blank' }), {}]],
    ['on a download', () => [link('/dates/x.pdf', { download: '' }), {}]],
    ['to another origin', () => [link('https://elsewhere.example/dates'), {}]],
    ['to a path that no feature owns', () => [link('/datesandmore'), {}]],
    ['inside the current feature', () => [link('/list/7'), {}]],
    ['on something that is no link', () => [byId('list-root'), {}]],
  ] as [string, () => [Element, MouseEventInit]][])('%s', async (_what, target) => {
    const log = await openList();
    expect(click(...target())).toBe(false);
    await settle();
    expect(log).toEqual(['mount list']);
    expect(location.pathname).toBe('/list');
  });

  test('in the bar, to the feature that is on the page', async () => {
    const log = await openList();
    expect(click(switcherLink('list'), { detail: 1 })).toBe(false);
    expect(log).toEqual(['mount list']);
  });

  test('a second time within the feature, whose router may want it', async () => {
    await openList();
    expect(click(link('/list/7'), { detail: 2 })).toBe(false);
  });

  test('already handled by the feature', async () => {
    const log = await openList();
    const handled = link('/dates');
    handled.addEventListener('click', (event) => event.preventDefault());
    click(handled);
    expect(location.pathname).toBe('/list');
    expect(log).toEqual(['mount list']);
  });
});

describe('moving twice', () => {
  test('a feature left while it loads is never mounted', async () => {
    const loading = deferred<Record<string, unknown>>();
    const mount = vi.fn();
    const mountList = vi.fn();
    page = openPage([list, dates], { '/list.js': { mount: mountList }, '/dates.js': () => loading.promise }, '/list');
    page.slot.enter(list);
    await settle();
    click(switcherLink('dates'));
    await settle();
    click(switcherLink('list'));
    loading.resolve({ mount });
    await settle();
    expect(mount).not.toHaveBeenCalled();
    expect(mountList).toHaveBeenCalledTimes(2);
    expect(page.main.childElementCount).toBe(1);
  });

  test('away and back while it loads mounts it once', async () => {
    const loading = deferred<Record<string, unknown>>();
    const mount = vi.fn();
    page = openPage([list, dates], { '/list.js': { mount: () => {} }, '/dates.js': () => loading.promise }, '/list');
    page.slot.enter(list);
    await settle();
    click(switcherLink('dates'));
    await settle();
    click(switcherLink('list'));
    await settle();
    click(switcherLink('dates'));
    loading.resolve({ mount });
    await settle();
    expect(mount).toHaveBeenCalledOnce();
    expect(mount.mock.calls[0]?.[0]).toBe(byId('dates-root'));
  });

  test('the stylesheet of the feature that left goes, that of the one that came stays', async () => {
    const styled = (id: string) => domain(id, { css: [{ href: `/${id}.css`, integrity: 'sha256-x' }] });
    const [one, two] = [styled('list'), styled('dates')];
    page = openPage([one, two], { '/list.js': { mount: () => {} }, '/dates.js': { mount: () => {} } }, '/list');
    page.slot.enter(one);
    await settle();
    click(switcherLink('dates'));
    await settle();
    const sheets = [...document.head.querySelectorAll('link')].map((sheet) => sheet.getAttribute('href'));
    expect(sheets).toEqual(['/dates.css']);
  });
});

describe('back and forward', () => {
  test('to another feature swaps it, and the current router is spared the foreign address', async () => {
    const log = await openList();
    const router = vi.fn();
    window.addEventListener('popstate', router);
    history.replaceState(null, '', '/dates/3');
    window.dispatchEvent(new PopStateEvent('popstate'));
    window.removeEventListener('popstate', router);
    await settle();
    expect(log).toEqual(['mount list', 'unmount list', 'mount dates']);
    expect(router).not.toHaveBeenCalled();
  });

  test('within the current feature belongs to its router', async () => {
    const log = await openList();
    const router = vi.fn();
    window.addEventListener('popstate', router);
    history.replaceState(null, '', '/list/7');
    window.dispatchEvent(new PopStateEvent('popstate'));
    window.removeEventListener('popstate', router);
    expect(log).toEqual(['mount list']);
    expect(router).toHaveBeenCalledOnce();
  });

  test('to a path that no feature owns loads that document', async () => {
    const log = await openList();
    history.replaceState(null, '', '/elsewhere');
    window.dispatchEvent(new PopStateEvent('popstate'));
    expect(page.platform.reload).toHaveBeenCalledOnce();
    expect(log).toEqual(['mount list', 'unmount list']);
  });
});

describe('a feature that starts by being imported', () => {
  test('is entered again by a new document, because its module runs once in this one', async () => {
    page = openPage(
      [list, dates],
      { '/list.js': { mount: () => {} }, '/dates.js': () => (page.runtime.signal('dates'), {}) },
      '/list',
    );
    page.slot.enter(list);
    await settle();
    click(switcherLink('dates'));
    await settle();
    expect(page.platform.assign).not.toHaveBeenCalled();
    click(switcherLink('list'));
    await settle();
    expect(click(switcherLink('dates'))).toBe(true);
    expect(page.platform.assign).toHaveBeenCalledExactlyOnceWith(`${location.origin}/dates`);
    expect(location.pathname).toBe('/list');
  });

  test('left while it loads and entered again also gets a new document', async () => {
    const loading = deferred<Record<string, unknown>>();
    page = openPage([list, dates], { '/list.js': { mount: () => {} }, '/dates.js': () => loading.promise }, '/list');
    page.slot.enter(list);
    await settle();
    click(switcherLink('dates'));
    await settle();
    click(switcherLink('list'));
    await settle();
    click(switcherLink('dates'));
    loading.resolve({});
    await settle();
    expect(page.platform.reload).toHaveBeenCalledOnce();
  });
});

describe('who owns a path', () => {
  const features = Object.fromEntries(
    [domain('a'), domain('a-b', { basename: '/a/b' }), domain('c', { basename: '/c/' })].map((f) => [f.featureId, f]),
  );

  test.each([
    ['/a', 'a'],
    ['/a/', 'a'],
    ['/a/x', 'a'],
    ['/a/b', 'a-b'],
    ['/a/b/c', 'a-b'],
    ['/a/bc', 'a'],
    ['/ab', undefined],
    ['/c', 'c'],
    ['/', undefined],
  ])('%s belongs to %s', (path, owner) => {
    expect(ownerOf(path, features)?.featureId).toBe(owner);
  });

  test('the root feature owns what no other does', () => {
    const all = { ...features, root: domain('root', { basename: '/' }) };
    expect(ownerOf('/zzz', all)?.featureId).toBe('root');
    expect(ownerOf('/a/x', all)?.featureId).toBe('a');
  });
});
