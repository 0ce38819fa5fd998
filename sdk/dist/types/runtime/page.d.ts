import { Facets } from './facets';
import { Runtime } from './runtime';
/** The one runtime of this document. Shell and feature SDK reach it through the same module instance. */
export declare const runtime: Runtime;
export declare const facets: Facets;
