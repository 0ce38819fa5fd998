import { join } from 'node:path';
import { bundle, ROOT } from './bundle.js';

await bundle(join(ROOT, 'dist'));
