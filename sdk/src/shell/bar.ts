import { ownerOf, type Bootstrap, type FeatureRecord } from '../runtime/bootstrap';

const PRODUCT = 'Pilar';

/** Makes the bar and the document say which feature is on the page. */
export function showInBar(feature: FeatureRecord, features: Bootstrap['features']): void {
  document.title = `${feature.displayName} · ${PRODUCT}`;
  const title = document.getElementById('pilar-title');
  if (title) title.textContent = feature.displayName;
  for (const link of document.querySelectorAll<HTMLAnchorElement>('.pilar-switcher a')) {
    const owner = ownerOf(new URL(link.href).pathname, features);
    if (owner?.featureId === feature.featureId) {
      link.setAttribute('aria-current', 'page');
      link.scrollIntoView?.({ block: 'nearest', inline: 'nearest' });
    } else {
      link.removeAttribute('aria-current');
    }
  }
}

/** Says something to who listens rather than looks. */
export function announce(text: string): void {
  const announcer = document.getElementById('pilar-announcer');
  if (announcer) announcer.textContent = text;
}
