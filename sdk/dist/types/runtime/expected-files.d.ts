import type { FeatureRecord } from './bootstrap';
/**
 * The files a feature is made of, with the bytes they must have: what the page's import map lists
 * in the folders of its entry modules and of the shared packages, and its stylesheets.
 */
export declare function expectedFiles(page: Document, feature: FeatureRecord): Map<string, string>;
