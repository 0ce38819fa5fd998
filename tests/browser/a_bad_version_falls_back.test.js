import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openPage, startBrowser } from './support/browser.js';
import { startHost } from './support/host.js';
import { alter } from './support/mirror.js';
import { editFile, example, hashedFile, publishedFeatures, publishVersion, testFeature } from './support/release.js';

const browser = await startBrowser({ after });

/** Asks until the health of a feature is as it should be; says what it was last. */
async function healthUntil(host, featureId, isSo) {
  for (let attempt = 0; ; attempt += 1) {
    const health = await host.health(featureId);
    if (isSo(health)) return health;
    if (attempt === 300) throw new Error(`${featureId} did not get there: ${JSON.stringify(health, null, 2)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const titled = (text) => (directory) => editFile(join(directory, 'src/main.js'), '<h1>Appointments</h1>', `<h1>${text}</h1>`);

test('a damaged version does not serve, the one before goes on, and a good one comes without a restart', async (t) => {
  const artifacts = publishedFeatures(t);
  const host = await startHost(t, { artifacts, env: { HOT_REFRESH_WATCH: '1' } });
  const { page, problems } = await openPage(t, browser, { url: host.url });

  publishVersion(t, {
    source: example('appointments'),
    version: '1.1.0',
    into: artifacts,
    edit: titled('Damaged appointments'),
    spoil: (directory) => {
      const file = join(directory, hashedFile(directory, 'main', 'js'));
      writeFileSync(file, alter(readFileSync(file), 'Three days', 'Thr3e days'));
    },
  });
  const damaged = await healthUntil(host, 'appointments', ({ desiredVersion }) => desiredVersion === '1.1.0');
  assert.equal(damaged.status, 200);
  assert.equal(damaged.servingVersion, '1.0.0');
  const refused = damaged.versions.find(({ version }) => version === '1.1.0');
  assert.equal(refused.refused.code, 'file-hash');
  await page.goto('/appointments');
  await page.getByRole('heading', { name: 'Appointments', level: 1, exact: true }).waitFor();

  publishVersion(t, { source: example('appointments'), version: '1.2.0', into: artifacts, edit: titled('Good appointments') });
  await healthUntil(host, 'appointments', ({ servingVersion }) => servingVersion === '1.2.0');
  await page.reload();
  await page.getByRole('heading', { name: 'Good appointments' }).waitFor();
  assert.deepEqual(problems, []);
});

test('a page that was loaded before a new version goes on, even where the old version is gone from disk', async (t) => {
  const artifacts = publishedFeatures(t, { also: ['probe'] });
  const host = await startHost(t, { artifacts, env: { HOT_REFRESH_WATCH: '1' } });
  const { page, problems } = await openPage(t, browser, { url: host.url });
  await page.goto('/probe');
  await page.getByRole('heading', { name: 'Probe 1.0.0' }).waitFor();

  publishVersion(t, {
    source: testFeature('probe'),
    version: '2.0.0',
    into: artifacts,
    keep: 0,
    edit: (directory) => editFile(join(directory, 'src/later.js'), 'More of 1.0.0', 'More of 2.0.0'),
  });
  const { versions } = await healthUntil(host, 'probe', ({ servingVersion }) => servingVersion === '2.0.0');
  assert.deepEqual(versions.map(({ version }) => version), ['2.0.0'], 'the index does not name the old version any more');

  await page.getByRole('button', { name: 'Load more' }).click();
  await page.getByText('More of 1.0.0').waitFor();

  await page.reload();
  await page.getByRole('heading', { name: 'Probe 2.0.0' }).waitFor();
  await page.getByRole('button', { name: 'Load more' }).click();
  await page.getByText('More of 2.0.0').waitFor();
  assert.deepEqual(problems, []);
});
