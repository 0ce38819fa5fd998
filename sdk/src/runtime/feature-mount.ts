import type { FeatureRecord } from './bootstrap';
import { StartFailure } from './failure';
import type { FeatureHostApi } from './host-api';
import { isolate } from './isolate';
import type { Runtime } from './runtime';
import { Scope } from './scope';

/** Second argument of a feature's `mount`. */
export interface MountContext<Props = undefined> {
  readonly featureId: string;
  readonly version: string;
  readonly basename: string;
  readonly domElementId: string;
  readonly hostVersion: string;
  /** Bound to this very mounting: everything opened through it ends with it. */
  readonly host: FeatureHostApi;
  /** The shadow root around the element, where the manifest asks for isolation. */
  readonly shadowRoot: ShadowRoot | null;
  /** What the embedding feature passed; undefined on domain features. */
  readonly props: Props;
}

/** Told how a mounting goes. `failed` after `ready` means that it broke later, `ready` after `failed` that it was late. */
export interface MountObserver {
  ready(): void;
  failed(failure: StartFailure): void;
}

type FeatureModule = Readonly<Record<string, unknown>>;
type Lifecycle = (element: HTMLElement, context: MountContext<unknown>) => unknown;
type State = 'starting' | 'overdue' | 'ready' | 'failed' | 'stopped';

/** One feature in one element, from the first byte asked for to the last cleanup. */
export class FeatureMount {
  /** What the feature draws into. */
  readonly container: HTMLElement;
  readonly shadowRoot: ShadowRoot | null;
  readonly scope: Scope;
  readonly #context: Omit<MountContext, 'props'>;
  #state: State = 'starting';
  #timer: ReturnType<typeof setTimeout> | undefined;
  #module: FeatureModule | null = null;
  #undo: (() => void) | null = null;
  #props: unknown;
  #propsPending = false;
  #updating = false;

  constructor(
    private readonly runtime: Runtime,
    readonly feature: FeatureRecord,
    place: HTMLElement,
    private readonly observer: MountObserver,
  ) {
    this.scope = new Scope(feature.featureId);
    this.shadowRoot = feature.shadowDOM ? place.attachShadow({ mode: 'open' }) : null;
    this.container = this.shadowRoot ? document.createElement('div') : place;
    this.shadowRoot?.append(this.container);
    this.#context = {
      featureId: feature.featureId,
      version: feature.version,
      basename: feature.basename ?? '/',
      domElementId: feature.domElementId ?? '',
      hostVersion: runtime.bootstrap.hostVersion,
      host: runtime.hostApi(() => this.scope),
      shadowRoot: this.shadowRoot,
    };
  }

  /** Starts the feature. How it went is told to the observer; nothing is thrown. */
  start(props?: unknown): void {
    this.#props = props;
    this.runtime.joined(this);
    const limit = this.runtime.bootstrap.bootstrapTimeoutMs;
    this.#timer = setTimeout(() => {
      this.#state = 'overdue';
      this.observer.failed(this.#failure('bootstrap-timeout', `did not start within ${limit} ms`));
    }, limit);
    this.#run().catch((cause: unknown) => {
      this.#fail(cause instanceof StartFailure ? cause : this.#failure('load-failed', 'could not be loaded', cause));
    });
  }

  /** The feature says that it started. */
  signal(): void {
    if (this.#state !== 'starting' && this.#state !== 'overdue') return;
    clearTimeout(this.#timer);
    this.#state = 'ready';
    this.observer.ready();
  }

  /** Hands new props to the feature; while it starts or updates, only the latest are kept. */
  update(props: unknown): void {
    this.#props = props;
    this.#propsPending = true;
    void this.#applyProps();
  }

  /** Unmounts and cleans up, once. What is still loading is undone when it arrives. */
  stop(): void {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    this.#end();
  }

  async #run(): Promise<void> {
    await this.#loadStyles();
    if (this.#over()) return;
    const { modules, repeated } = await this.runtime.importFeature(this.feature);
    if (this.#over()) return;
    const { featureType, mountExport } = this.feature;
    const module = modules.findLast((candidate) => typeof candidate[mountExport] === 'function');
    if (module) {
      this.#module = module;
      this.#propsPending = false;
      await this.#mount(module);
      this.signal();
      void this.#applyProps();
    } else if (featureType === 'facet') {
      throw this.#failure('no-mount-export', `exports no function "${mountExport}"`);
    } else if (repeated) {
      // A module runs once in a document, so a self-starting one needs a new document to start again.
      clearTimeout(this.#timer);
      this.runtime.platform.reload();
    } else {
      this.runtime.selfStarted.add(this.feature.featureId);
    }
  }

  async #loadStyles(): Promise<void> {
    const { featureId, css } = this.feature;
    const { shadowRoot } = this;
    await Promise.all(
      css.map((sheet) => {
        if (shadowRoot) return this.runtime.styles.attach(featureId, sheet, shadowRoot);
        const { loaded, release } = this.runtime.styles.acquire(featureId, sheet);
        this.scope.add(release);
        return loaded;
      }),
    );
  }

  async #mount(module: FeatureModule): Promise<void> {
    const { mountExport, unmountExport } = this.feature;
    const mount = module[mountExport] as Lifecycle;
    const unmount = module[unmountExport] as Lifecycle | undefined;
    const context = this.#contextNow();
    let returned: unknown;
    try {
      returned = await this.runtime.during(this, () => mount(this.container, context));
    } catch (cause) {
      throw this.#failure('mount-failed', `threw while mounting`, cause);
    }
    const undo =
      typeof returned === 'function'
        ? () => returned()
        : () => (typeof unmount === 'function' ? unmount(this.container, context) : undefined);
    // When the mounting was stopped meanwhile, the scope is closed and undoes it right here.
    const withdraw = this.scope.add(undo);
    this.#undo = () => {
      withdraw();
      isolate(`unmount of ${this.feature.featureId}`, undo);
    };
  }

  async #applyProps(): Promise<void> {
    if (this.#updating) return;
    this.#updating = true;
    try {
      while (this.#propsPending && this.#state === 'ready' && this.#module) {
        this.#propsPending = false;
        const update = this.#module['update'];
        if (typeof update === 'function') {
          await this.runtime.during(this, () => (update as Lifecycle)(this.container, this.#contextNow()));
        } else {
          this.#undo?.();
          this.container.replaceChildren();
          await this.#mount(this.#module);
        }
      }
    } catch (cause) {
      // Never leave the old content up: it would show one thing and mean another.
      this.#fail(this.#failure('update-failed', 'threw while updating', cause));
    } finally {
      this.#updating = false;
    }
  }

  #fail(failure: StartFailure): void {
    if (this.#over()) return;
    this.#state = 'failed';
    this.#end();
    this.container.replaceChildren();
    this.observer.failed(failure);
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.scope.close();
    this.runtime.left(this);
  }

  #over(): boolean {
    return this.#state === 'stopped' || this.#state === 'failed';
  }

  #contextNow(): MountContext<unknown> {
    return { ...this.#context, props: this.#props };
  }

  #failure(code: StartFailure['code'], what: string, cause?: unknown): StartFailure {
    const { featureId, version } = this.feature;
    return new StartFailure(code, `feature ${featureId} ${version} ${what}`, cause);
  }
}
