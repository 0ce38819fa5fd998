import { ownerOf, type Bootstrap, type FeatureRecord } from '../runtime/bootstrap';

/** Where a click leads, when the shell is to take it over. */
export interface Destination {
  readonly url: URL;
  readonly feature: FeatureRecord;
}

/**
 * The click that moves between domain features without a new document, else null.
 *
 * Left to others: what the user wants elsewhere (modifier keys, other buttons, target, download),
 * what a feature handled itself, other origins, paths that no feature owns, and everything inside
 * the current feature, which belongs to its own router.
 */
export function destinationOf(
  event: MouseEvent,
  currentFeatureId: string | null,
  features: Bootstrap['features'],
): Destination | null {
  if (event.defaultPrevented || event.button !== 0) return null;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return null;
  const link = linkOf(event);
  if (!link?.href || link.hasAttribute('download')) return null;
  if (link.target !== '' && link.target !== '_self') return null;
  const url = new URL(link.href);
  if (url.origin !== location.origin) return null;
  const feature = ownerOf(url.pathname, features);
  if (!feature || feature.featureId === currentFeatureId) return null;
  return { url, feature };
}

/** The link that was clicked, also inside an open shadow root. */
function linkOf(event: Event): HTMLAnchorElement | null {
  return event.composedPath().find((node): node is HTMLAnchorElement => node instanceof HTMLAnchorElement) ?? null;
}
