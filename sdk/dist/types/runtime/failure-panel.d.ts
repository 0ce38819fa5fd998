import type { Bootstrap, FeatureRecord } from './bootstrap';
import type { StartFailure } from './failure';
/** What the panel offers. Without `retry` it is the one-line panel of a facet. */
export interface PanelOptions {
    readonly retry?: () => Promise<boolean>;
}
/**
 * The panel that stands in a feature's place when it does not start.
 *
 * It lives in a shadow root of its own, so that neither the styles of the feature that failed nor
 * those of the one around it can make it unreadable.
 */
export declare function failurePanel(feature: Pick<FeatureRecord, 'displayName' | 'version'>, bootstrap: Pick<Bootstrap, 'snapshot'>, failure: StartFailure, { retry }?: PanelOptions): HTMLElement;
