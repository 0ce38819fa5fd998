// `npm test`, or `node run.js keyboard.test.js` for one file: builds and publishes once what the
// tests serve, runs them one file after another, and clears up.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildEverything } from './support/release.js';

const here = import.meta.dirname;
const named = process.argv.slice(2);
const files = named.length > 0 ? named : readdirSync(here).filter((name) => name.endsWith('.test.js')).sort();

const run = mkdtempSync(join(tmpdir(), 'pilar-browser-'));
process.env.PILAR_TEST_RUN = run;
// Ctrl-C reaches the tests as well; what they leave is cleared up below.
process.on('SIGINT', () => {});
try {
  buildEverything();
  const flags = ['--test', '--test-concurrency=1', '--test-reporter=tap'];
  const { status } = spawnSync(process.execPath, [...flags, ...files], { cwd: here, stdio: 'inherit' });
  process.exitCode = status ?? 1;
} finally {
  rmSync(run, { recursive: true, force: true });
}
