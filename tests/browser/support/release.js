// What teams do: build, sign and publish, with the `pilar` command.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY, cleanEnvironment, pilarBinary, run } from './environment.js';

const KEY_ID = 'browser-tests';
const EXAMPLES = ['_shared', 'allergybadge', 'appointments', 'patientlist'];

/** The environment of a host that trusts what these tests publish. */
export const trust = () => ({ FEATURE_TRUST_PUBLIC_KEYS_PATH: run('trusted-keys.json') });

/** Makes a key, and builds and publishes the examples, the shared packages and the features of the tests. */
export function buildEverything() {
  pilar('keys', 'generate', '--id', KEY_ID, '--out', run('keys'), '--trust-file', run('trusted-keys.json'));
  pilar('build', '--out', run('build'));
  pilar('build', join(import.meta.dirname, '../features'), '--out', run('build'));
  pilar('publish', '--local', '--from', run('build'), '--artifacts', run('artifacts'));
}

/** A directory that goes with the test. */
export function temporaryDirectory(t) {
  const directory = mkdtempSync(run('test-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A test's own copy of the published features. */
export function publishedFeatures(t, { also = [] } = {}) {
  const directory = temporaryDirectory(t);
  for (const id of [...EXAMPLES, ...also]) cpSync(run('artifacts', id), join(directory, id), { recursive: true });
  return directory;
}

/**
 * Builds and publishes another version of a feature whose sources are in `source`. `edit` gets its
 * directory; `spoil` gets the directory of the published version before its index names it, as if
 * the file had been damaged on its way.
 */
export function publishVersion(t, { source, version, into, keep = 5, edit = () => {}, spoil = () => {} }) {
  const work = temporaryDirectory(t);
  cpSync(source, join(work, 'source'), { recursive: true });
  editJson(join(work, 'source', 'manifest.json'), (manifest) => ({ ...manifest, version }));
  edit(join(work, 'source'));
  pilar('build', join(work, 'source'), '--out', join(work, 'build'));
  const { id } = readJson(join(work, 'source', 'manifest.json'));
  const staged = join(work, 'artifacts');
  cpSync(join(into, id), join(staged, id), { recursive: true });
  pilar('publish', '--local', '--from', join(work, 'build'), '--artifacts', staged, '--keep', String(keep));
  spoil(join(staged, id, version));
  install(join(staged, id), join(into, id), version);
}

/** As the loader does it: the version directory appears complete, the index last, both by rename. */
function install(from, to, version) {
  cpSync(join(from, version), join(to, `.${version}`), { recursive: true });
  renameSync(join(to, `.${version}`), join(to, version));
  cpSync(join(from, 'releases.json'), join(to, '.releases.json'));
  renameSync(join(to, '.releases.json'), join(to, 'releases.json'));
  const kept = new Set(readJson(join(to, 'releases.json')).versions.map((entry) => entry.version));
  for (const entry of readdirSync(to, { withFileTypes: true })) {
    if (entry.isDirectory() && !kept.has(entry.name)) rmSync(join(to, entry.name), { recursive: true });
  }
}

/** The sources of an example. */
export const example = (id) => join(REPOSITORY, 'examples', `feature-${id}`);

/** The sources of a feature made for these tests. */
export const testFeature = (id) => join(import.meta.dirname, '../features', `feature-${id}`);

/** Replaces text in a file that must hold it exactly once. */
export function editFile(path, was, now) {
  const text = readFileSync(path, 'utf8');
  if (text.split(was).length !== 2) throw new Error(`${path} should hold ${JSON.stringify(was)} once`);
  writeFileSync(path, text.replace(was, () => now));
}

/** The file of a directory whose name starts and ends so; its hash is in between. */
export function hashedFile(directory, stem, extension) {
  const pattern = new RegExp(`^${stem}\\.[0-9a-f]{12}\\.${extension}$`);
  const found = readdirSync(directory).filter((name) => pattern.test(name));
  if (found.length !== 1) throw new Error(`${directory} holds ${found.length} files ${stem}.*.${extension}, not one`);
  return found[0];
}

function editJson(path, edit) {
  writeFileSync(path, `${JSON.stringify(edit(readJson(path)), null, 2)}\n`);
}

function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

function pilar(...args) {
  const signing = {
    FEATURE_SIGNING_KEY_PATH: run('keys', `${KEY_ID}.private.pem`),
    FEATURE_SIGNING_KEY_ID: KEY_ID,
    ...trust(),
  };
  const env = { ...cleanEnvironment(), ...(args[0] === 'keys' ? {} : signing) };
  execFileSync(pilarBinary(), args, { cwd: REPOSITORY, env, stdio: ['ignore', 'pipe', 'inherit'] });
}
