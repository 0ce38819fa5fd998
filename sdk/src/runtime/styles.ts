import type { StylesheetRecord } from './bootstrap';
import type { Platform } from './platform';

interface PageSheet {
  readonly link: HTMLLinkElement;
  readonly loaded: Promise<void>;
  users: number;
}

/** The stylesheets of features: counted in the page's head, or private to one shadow root. */
export class Styles {
  readonly #platform: Platform;
  readonly #page = new Map<string, PageSheet>();

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  /** Puts a sheet into the head, once however many use it. Returns when it applies and how to give it back. */
  acquire(featureId: string, sheet: StylesheetRecord): { loaded: Promise<void>; release: () => void } {
    const entry = this.#page.get(sheet.href) ?? this.#open(featureId, sheet);
    entry.users += 1;
    this.#page.set(sheet.href, entry);
    return {
      loaded: entry.loaded,
      release: () => {
        entry.users -= 1;
        if (entry.users > 0) return;
        entry.link.remove();
        this.#page.delete(sheet.href);
      },
    };
  }

  /** Puts a sheet into a shadow root, where it ends with the root. */
  attach(featureId: string, sheet: StylesheetRecord, root: ShadowRoot): Promise<void> {
    const link = linkTo(featureId, sheet);
    const loaded = this.#platform.stylesheetLoaded(link);
    root.append(link);
    return loaded;
  }

  #open(featureId: string, sheet: StylesheetRecord): PageSheet {
    const rendered = [...document.head.querySelectorAll<HTMLLinkElement>('link[data-pilar-feature]')].find(
      (link) => link.getAttribute('href') === sheet.href,
    );
    // The host's own link blocked this script until it settled. Without a sheet it failed, and
    // a second link tells by its events why the feature cannot start.
    if (rendered?.sheet) return { link: rendered, loaded: Promise.resolve(), users: 0 };
    rendered?.remove();
    const link = linkTo(featureId, sheet);
    const loaded = this.#platform.stylesheetLoaded(link);
    document.head.append(link);
    return { link, loaded, users: 0 };
  }
}

function linkTo(featureId: string, sheet: StylesheetRecord): HTMLLinkElement {
  const link = document.createElement('link');
  link.rel = 'stylesheet';
  link.setAttribute('integrity', sheet.integrity);
  link.href = sheet.href;
  link.dataset['pilarFeature'] = featureId;
  return link;
}
