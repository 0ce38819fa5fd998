// Hosts whose Admin UI has something to show.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startHost } from './host.js';
import { alter } from './mirror.js';
import { editFile, example, hashedFile, publishedFeatures, publishVersion, temporaryDirectory, testFeature } from './release.js';

export const TOKEN = 'a token for the browser tests alone';

const env = { ADMIN_AUTH_TOKEN: TOKEN };

/** All is as released. */
export async function wellHost(t) {
  const artifacts = publishedFeatures(t);
  return { artifacts, ...(await startHost(t, { artifacts, env })) };
}

/** Nothing is published. */
export const emptyHost = (t) => startHost(t, { artifacts: temporaryDirectory(t), env });

/** A fallback, an index that is refused, a prefix that two features want, a loader that does not get on. */
export async function troubledHost(t) {
  const artifacts = publishedFeatures(t, { also: ['silent', 'throws'] });
  publishVersion(t, {
    source: example('appointments'),
    version: '1.1.0',
    into: artifacts,
    edit: (directory) => editFile(join(directory, 'src/main.js'), '<h1>Appointments</h1>', '<h1>Visits</h1>'),
    spoil: (directory) => {
      const file = join(directory, hashedFile(directory, 'main', 'js'));
      writeFileSync(file, alter(readFileSync(file), 'Three days', 'Thr3e days'));
    },
  });
  publishVersion(t, {
    source: testFeature('silent'),
    version: '1.1.0',
    into: artifacts,
    keep: 0,
    edit: (directory) => editFile(join(directory, 'manifest.json'), '"/silent"', '"/patientlist"'),
  });
  rmSync(join(artifacts, 'throws', 'releases.json'));
  mkdirSync(join(artifacts, '.loader'));
  writeFileSync(join(artifacts, '.loader', 'status.json'), JSON.stringify(LOADER_STATUS));
  return { artifacts, ...(await startHost(t, { artifacts, env })) };
}

const LOADER_STATUS = {
  updatedAt: '2026-03-02T08:12:40Z',
  source: {
    kind: 'kubernetes',
    lastContactAt: '2026-03-02T07:55:00Z',
    error: { code: 'cluster-unreachable', message: 'the API server does not answer', remedy: 'see the network' },
  },
  refused: [
    {
      place: 'ConfigMap ward-7/planning',
      featureId: 'planning',
      error: {
        code: 'registration-image',
        message: 'the image registry.example/teams/planning-of-the-wards:latest-and-greatest has no digest',
        remedy: 'write <registry>/<repository>@sha256:<digest>',
      },
    },
  ],
  features: {
    patientlist: { desired: `sha256:${'4b'.repeat(32)}`, actual: `sha256:${'4b'.repeat(32)}`, attempts: 1 },
    throws: { desired: `sha256:${'99'.repeat(32)}`, attempts: 7, lastError: { code: 'server-error', message: 'registry.example: 503 Service Unavailable' } },
  },
};

/** Signs in as people do. */
export async function signIn(page) {
  await page.goto('/_admin');
  await page.getByLabel('Admin token').fill(TOKEN);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('navigation', { name: 'Admin' }).waitFor();
}
