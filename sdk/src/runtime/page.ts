import { readBootstrap } from './bootstrap';
import { Facets } from './facets';
import { browserPlatform } from './platform';
import { Runtime } from './runtime';

/** The one runtime of this document. Shell and feature SDK reach it through the same module instance. */
export const runtime = new Runtime(readBootstrap(document), browserPlatform);
export const facets = new Facets(runtime);
