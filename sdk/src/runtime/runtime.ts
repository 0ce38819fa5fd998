import type { Bootstrap, FeatureRecord } from './bootstrap';
import { EventBus } from './event-bus';
import { expectedFiles } from './expected-files';
import type { FeatureMount } from './feature-mount';
import { createHostApi, type FeatureHostApi } from './host-api';
import type { Platform } from './platform';
import { Scope } from './scope';
import { Store } from './store';
import { Styles } from './styles';

/** What a feature learns about where it runs. */
export interface BootstrapConfig {
  readonly featureId: string;
  readonly version: string;
  readonly basename: string;
  readonly domElementId: string;
  readonly hostVersion: string;
}

/** What holds where the page does not say, as in a feature's own tests. */
export interface BootstrapDefaults {
  readonly defaultFeatureId: string;
  readonly defaultBasename: string;
  readonly defaultDomElementId: string;
}

/** The state of one page: one instance, shared by the shell and every feature. */
export class Runtime {
  readonly styles: Styles;
  /** Features that start by being imported and have done so in this document. */
  readonly selfStarted = new Set<string>();
  readonly #bus = new EventBus();
  readonly #store = new Store();
  readonly #live = new Map<string, Set<FeatureMount>>();
  readonly #scopes = new Map<string, Scope>();
  readonly #elements = new Map<string, HTMLElement>();
  readonly #imported = new Set<string>();
  readonly #repairs = new Map<string, Promise<void>>();
  #domain: FeatureMount | null = null;
  #current: FeatureMount | null = null;

  constructor(
    readonly bootstrap: Bootstrap,
    readonly platform: Platform,
  ) {
    this.styles = new Styles(platform);
  }

  config(defaults: BootstrapDefaults): BootstrapConfig {
    const feature = this.bootstrap.features[defaults.defaultFeatureId];
    return {
      featureId: defaults.defaultFeatureId,
      version: feature?.version ?? '0.0.0',
      basename: feature?.basename ?? defaults.defaultBasename,
      domElementId: feature?.domElementId ?? defaults.defaultDomElementId,
      hostVersion: this.bootstrap.hostVersion,
    };
  }

  /** The element of a domain feature: inside its shadow root, where it has one. */
  mountElement(id: string): HTMLElement {
    const element = this.#elements.get(id) ?? document.getElementById(id);
    if (element) return element;
    throw new Error(`no element with id "${id}" on this page; use mount.domElementId of the manifest`);
  }

  /** Of the named feature; without a name of the feature whose code is running, else of the domain feature on the page. */
  shadowRoot(featureId?: string): ShadowRoot | null {
    if (featureId === undefined) return (this.#current ?? this.#domain)?.shadowRoot ?? null;
    return [...(this.#live.get(featureId) ?? [])].at(-1)?.shadowRoot ?? null;
  }

  hostApi(scope: () => Scope): FeatureHostApi {
    return createHostApi(this.#bus, this.#store, scope);
  }

  /**
   * Where a feature's cleanups go: to the mounting whose code is running, else to the feature as
   * a whole, which ends with its last mounting.
   */
  scopeOf(featureId: string): Scope {
    if (this.#current?.feature.featureId === featureId) return this.#current.scope;
    const scope = this.#scopes.get(featureId) ?? new Scope(featureId);
    this.#scopes.set(featureId, scope);
    return scope;
  }

  /** A feature says that it started. */
  signal(featureId: string): void {
    if (this.#current?.feature.featureId === featureId) this.#current.signal();
    else if (this.#domain?.feature.featureId === featureId) this.#domain.signal();
  }

  /** Runs the synchronous part of a feature's function on behalf of one mounting. */
  during<T>(mount: FeatureMount, run: () => T): T {
    const outer = this.#current;
    this.#current = mount;
    try {
      return run();
    } finally {
      this.#current = outer;
    }
  }

  /** Imports the entry modules in order; `repeated` when this document has imported them before. */
  async importFeature(feature: FeatureRecord): Promise<{
    modules: Readonly<Record<string, unknown>>[];
    repeated: boolean;
  }> {
    const { featureId, js } = feature;
    const repeated = this.#imported.has(featureId);
    this.#imported.add(featureId);
    const modules = [];
    for (const url of js) modules.push(await this.platform.importModule(url));
    return { modules, repeated };
  }

  /**
   * Replaces what the browser's cache holds wrong of a feature. Files are cached for good under
   * their hashed names, also those that failed their integrity check, so that without this a new
   * document would meet the same wrong bytes.
   */
  repair(feature: FeatureRecord): Promise<void> {
    const running = this.#repairs.get(feature.featureId);
    if (running) return running;
    const repair = this.platform
      .refresh(expectedFiles(document, feature))
      .finally(() => this.#repairs.delete(feature.featureId));
    this.#repairs.set(feature.featureId, repair);
    return repair;
  }

  joined(mount: FeatureMount): void {
    const { featureId, featureType, domElementId } = mount.feature;
    const live = this.#live.get(featureId) ?? new Set();
    this.#live.set(featureId, live.add(mount));
    if (this.#scopes.get(featureId)?.closed !== false) this.#scopes.set(featureId, new Scope(featureId));
    if (featureType !== 'domain') return;
    this.#domain = mount;
    if (domElementId) this.#elements.set(domElementId, mount.container);
  }

  left(mount: FeatureMount): void {
    const { featureId } = mount.feature;
    const live = this.#live.get(featureId);
    if (!live?.delete(mount)) return;
    if (live.size === 0) this.#scopes.get(featureId)?.close();
    if (this.#domain === mount) this.#domain = null;
  }
}
