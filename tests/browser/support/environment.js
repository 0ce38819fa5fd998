import { join, resolve } from 'node:path';

/** The root of the repository. */
export const REPOSITORY = resolve(import.meta.dirname, '../../..');

/** The directory of this run, which holds keys, builds and published artifacts. */
export const run = (...parts) => join(required('PILAR_TEST_RUN', 'start the tests by `npm test` or `node run.js`'), ...parts);

const BINARIES = 'start the tests by `cargo xtask test browser`, or name a built binary';

export const pilarBinary = () => required('PILAR_BIN', BINARIES);
export const hostBinary = () => required('PILAR_HOST_BIN', BINARIES);

/** The variables of the machine, without any that would configure what is tested. */
export function cleanEnvironment() {
  const { PATH, HOME, TMPDIR, LANG } = process.env;
  return Object.fromEntries(Object.entries({ PATH, HOME, TMPDIR, LANG }).filter(([, value]) => value !== undefined));
}

function required(name, remedy) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; ${remedy}`);
  return value;
}
