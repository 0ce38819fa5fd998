// dist/ is checked in, because the host embeds it and must build without Node. This says whether
// it is what the sources give.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle, listFiles, ROOT } from './bundle.js';

const checkedIn = join(ROOT, 'dist');
const fresh = mkdtempSync(join(tmpdir(), 'pilar-sdk-'));
try {
  await bundle(fresh);
  const names = new Set([...listFiles(checkedIn), ...listFiles(fresh)]);
  const different = [...names].filter((name) => read(checkedIn, name) !== read(fresh, name)).sort();
  if (different.length > 0) {
    console.error(`sdk/dist is not what sdk/src gives; these differ:\n  ${different.join('\n  ')}`);
    console.error('Run "npm run build" in sdk/ and commit sdk/dist with the sources.');
    process.exitCode = 1;
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}

function read(folder, name) {
  try {
    return readFileSync(join(folder, name), 'base64');
  } catch {
    return undefined;
  }
}
