import { ownerOf, type Bootstrap, type FeatureRecord } from '../runtime/bootstrap';

/** Where a click leads. */
export interface Destination {
  readonly url: URL;
  readonly feature: FeatureRecord;
}

/**
 * The domain feature that a click leads to, else null.
 *
 * Left to others: what the user wants elsewhere (modifier keys, other buttons, target, download),
 * what a feature handled itself, other origins, and paths that no feature owns.
 */
export function destinationOf(event: MouseEvent, features: Bootstrap['features']): Destination | null {
  if (event.defaultPrevented || event.button !== 0) return null;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return null;
  const link = linkOf(event);
  if (!link?.href || link.hasAttribute('download')) return null;
  if (link.target !== '' && link.target !== '_self') return null;
  const url = new URL(link.href);
  if (url.origin !== location.origin) return null;
  const feature = ownerOf(url.pathname, features);
  return feature && { url, feature };
}

/** The link that was clicked, also inside an open shadow root. */
function linkOf(event: Event): HTMLAnchorElement | null {
  return event.composedPath().find((node): node is HTMLAnchorElement => node instanceof HTMLAnchorElement) ?? null;
}
