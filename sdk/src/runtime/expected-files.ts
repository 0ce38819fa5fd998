import type { FeatureRecord } from './bootstrap';

interface ImportMap {
  imports?: Record<string, string>;
  integrity?: Record<string, string>;
}

/**
 * The files a feature is made of, with the bytes they must have: what the page's import map lists
 * in the folders of its entry modules and of the shared packages, and its stylesheets.
 */
export function expectedFiles(page: Document, feature: FeatureRecord): Map<string, string> {
  const text = page.querySelector('script[type="importmap"]')?.textContent;
  const map = text ? (JSON.parse(text) as ImportMap) : {};
  const folders = [...feature.js, ...Object.values(map.imports ?? {})].map((url) => url.slice(0, url.lastIndexOf('/') + 1));
  const modules = Object.entries(map.integrity ?? {}).filter(([url]) => folders.some((folder) => url.startsWith(folder)));
  const sheets = feature.css.map(({ href, integrity }): [string, string] => [href, integrity]);
  return new Map([...modules, ...sheets]);
}
