import { vi } from 'vitest';
import { STANDALONE, type FeatureRecord } from '../src/runtime/bootstrap';
import { Facets } from '../src/runtime/facets';
import type { Platform } from '../src/runtime/platform';
import { Runtime } from '../src/runtime/runtime';
import { DomainSlot } from '../src/shell/domain-slot';
import { installNavigation } from '../src/shell/navigation';

type Module = Record<string, unknown>;

/** What a URL imports: a module, a function that makes one, or a promise under the test's control. */
export type Modules = Record<string, Module | (() => Module | Promise<Module>)>;

/** A page like the one the host renders, over a platform whose modules are given by the test. */
export function openPage(features: FeatureRecord[], modules: Modules, path = '/') {
  history.replaceState(null, '', path);
  document.head.replaceChildren();
  document.body.innerHTML = `
    <span id="pilar-title"></span>
    <nav class="pilar-switcher">
      ${features
        .filter((feature) => feature.basename)
        .map((feature) => `<a href="${feature.basename}">${feature.displayName}</a>`)
        .join('')}
    </nav>
    <main id="pilar-main" tabindex="-1"></main>
    <div id="pilar-announcer" aria-live="polite"></div>`;
  const platform = {
    importModule: vi.fn(async (url: string) => {
      const module = modules[url];
      if (!module) throw new TypeError(`Failed to fetch dynamically imported module: ${url}`);
      return typeof module === 'function' ? module() : module;
    }),
    stylesheetLoaded: vi.fn(async () => {}),
    assign: vi.fn(),
    reload: vi.fn(),
    reachable: vi.fn(async () => true),
    refresh: vi.fn(async () => {}),
    snapshotAfter: vi.fn<Platform['snapshotAfter']>(async () => null),
  } satisfies Platform;
  const runtime = new Runtime(
    {
      ...STANDALONE,
      hostVersion: '1.2.3',
      snapshot: 'snap-1',
      bootstrapTimeoutMs: 1000,
      features: Object.fromEntries(features.map((feature) => [feature.featureId, feature])),
    },
    platform,
  );
  const facets = new Facets(runtime);
  const main = byId('pilar-main');
  const slot = new DomainSlot(runtime, facets, main);
  const close = installNavigation(runtime, slot, main);
  return { runtime, facets, slot, main, platform, close };
}

export function domain(featureId: string, more: Partial<FeatureRecord> = {}): FeatureRecord {
  return {
    featureId,
    version: '1.0.0',
    displayName: `The ${featureId}`,
    featureType: 'domain',
    basename: `/${featureId}`,
    domElementId: `${featureId}-root`,
    js: [`/${featureId}.js`],
    css: [],
    mountExport: 'mount',
    unmountExport: 'unmount',
    shadowDOM: false,
    ...more,
  };
}

export function facet(featureId: string, more: Partial<FeatureRecord> = {}): FeatureRecord {
  const { basename, domElementId, ...record } = domain(featureId);
  return { ...record, featureType: 'facet', ...more };
}

/** Lets everything that is already settled take effect. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no #${id} on the page`);
  return element;
}

/** The link to a feature in the bar. */
export function switcherLink(featureId: string): HTMLAnchorElement {
  const link = document.querySelector<HTMLAnchorElement>(`.pilar-switcher a[href="/${featureId}"]`);
  if (!link) throw new Error(`no link to ${featureId}`);
  return link;
}

/** The failure panels within an element. */
export function panelsIn(element: Element): HTMLElement[] {
  return [...element.querySelectorAll<HTMLElement>('.pilar-failure')];
}

/** The panel's text, which lives in its shadow root. */
export function textOf(panel: HTMLElement | undefined): string {
  return panel?.shadowRoot?.querySelector('section')?.textContent ?? '';
}

/** A promise that the test settles. */
export function deferred<T>() {
  let resolve!: (value: T) => void;
  let reject!: (cause: unknown) => void;
  const promise = new Promise<T>((fulfil, refuse) => {
    resolve = fulfil;
    reject = refuse;
  });
  return { promise, resolve, reject };
}
