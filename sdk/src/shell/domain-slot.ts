import type { FeatureRecord } from '../runtime/bootstrap';
import type { Facets } from '../runtime/facets';
import { failurePanel } from '../runtime/failure-panel';
import { FeatureMount } from '../runtime/feature-mount';
import type { Runtime } from '../runtime/runtime';

/** The place in `main` that holds one domain feature at a time. */
export class DomainSlot {
  #mount: FeatureMount | null = null;
  #panel: HTMLElement | null = null;

  constructor(
    private readonly runtime: Runtime,
    private readonly facets: Facets,
    private readonly main: HTMLElement,
  ) {}

  get featureId(): string | null {
    return this.#mount?.feature.featureId ?? null;
  }

  /** Starts a feature in the element that the host rendered for it, or in a new one. */
  enter(feature: FeatureRecord): void {
    this.leave();
    const id = feature.domElementId ?? `${feature.featureId}-root`;
    const rendered = this.main.firstElementChild;
    const place = rendered instanceof HTMLElement && rendered.id === id ? rendered : newPlace(id);
    this.main.replaceChildren(place);
    this.main.setAttribute('aria-busy', 'true');
    this.#mount = new FeatureMount(this.runtime, feature, place, {
      ready: () => {
        this.#settled();
        place.style.removeProperty('display');
      },
      failed: (failure) => {
        this.#settled();
        // Kept, not emptied: a feature that is only late still draws into it and is shown then.
        place.style.setProperty('display', 'none', 'important');
        this.#show(failurePanel(feature, this.runtime.bootstrap, failure, { retry: () => this.#retry(feature) }));
      },
    });
    this.#mount.start();
  }

  /** Takes out the feature with everything that belongs to it. */
  leave(): void {
    const mount = this.#mount;
    if (!mount) return;
    this.#mount = null;
    mount.stop();
    this.facets.unmountAll();
    this.#settled();
    this.main.replaceChildren();
  }

  #settled(): void {
    this.main.removeAttribute('aria-busy');
    this.#panel?.remove();
    this.#panel = null;
  }

  #show(panel: HTMLElement): void {
    this.#panel = panel;
    this.main.append(panel);
    const { activeElement } = document;
    if (activeElement === document.body || activeElement === this.main) panel.focus({ preventScroll: true });
  }

  /**
   * A new document, because only that surely fetches a failed module again, and because it may
   * come from a newer snapshot in which the feature is whole. Not while the server is silent: the
   * browser's own error page would take the bar away too.
   */
  async #retry(feature: FeatureRecord): Promise<boolean> {
    if (!(await this.runtime.platform.reachable())) return false;
    await this.runtime.repair(feature);
    this.runtime.platform.reload();
    return true;
  }
}

function newPlace(id: string): HTMLElement {
  const place = document.createElement('div');
  place.id = id;
  place.className = 'pilar-feature';
  return place;
}
