import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openPage, startBrowser } from './support/browser.js';
import { REPOSITORY, cleanEnvironment, hostBinary, pilarBinary } from './support/environment.js';
import { startHost } from './support/host.js';
import { Running } from './support/process.js';
import { editFile, publishedFeatures, temporaryDirectory } from './support/release.js';

const browser = await startBrowser({ after });

/** A checkout with the examples and the shared packages, their npm packages installed. */
function checkout(t) {
  const root = temporaryDirectory(t);
  const sources = { recursive: true, preserveTimestamps: true, filter: (from) => !/\/(node_modules|dist)$/.test(from) };
  for (const directory of ['examples', 'sdk/shared']) cpSync(join(REPOSITORY, directory), join(root, directory), sources);
  for (const part of ['sdk/package.json', 'sdk/dist', 'sdk/vite']) symlinkSync(join(REPOSITORY, part), join(root, part));
  for (const installed of ['examples/feature-patientlist/node_modules', 'sdk/shared/node_modules']) {
    const [from, to] = [join(REPOSITORY, installed), join(root, installed)];
    mkdirSync(to);
    for (const name of readdirSync(from)) {
      // npm's record of what it installed is read as a file, the packages are only resolved.
      if (name === '.package-lock.json') cpSync(join(from, name), join(to, name), { preserveTimestamps: true });
      else symlinkSync(join(from, name), join(to, name));
    }
  }
  return root;
}

/** `pilar dev` on a free port. */
async function startDev(t, root, paths, env = {}) {
  const dev = new Running(pilarBinary(), ['dev', ...paths, '--port', '0', '--host-bin', hostBinary()], {
    cwd: root,
    env: { ...cleanEnvironment(), HOST_BIND: '127.0.0.1', NO_COLOR: '1', ...env },
  });
  t.after(() => dev.stop());
  const [, url] = await dev.printed(/^Serving (http:\/\/localhost:\d+)/);
  return { dev, url };
}

test('a change in a feature without a build shows by itself, and a broken one keeps the page', async (t) => {
  const root = checkout(t);
  const { dev, url } = await startDev(t, root, ['examples/feature-appointments', 'examples/feature-allergybadge']);
  const { page } = await openPage(t, browser, { url });
  await page.goto('/appointments?patient=T-0003');
  await page.getByRole('heading', { name: 'Appointments', level: 1, exact: true }).waitFor();

  const main = join(root, 'examples/feature-appointments/src/main.js');
  editFile(main, '<h1>Appointments</h1>', '<h1>Visits</h1>');
  await page.getByRole('heading', { name: 'Visits', exact: true }).waitFor();
  assert.equal(new URL(page.url()).search, '?patient=T-0003', 'the address stays');

  const manifest = join(root, 'examples/feature-appointments/manifest.json');
  const good = readFileSync(manifest, 'utf8');
  await page.evaluate(() => (window.marked = true));
  writeFileSync(manifest, '{ "id": "appointments",');
  await dev.printed(/^error: .*not valid JSON/);
  assert.equal(await page.evaluate(() => window.marked), true);
  await page.reload();
  await page.getByRole('heading', { name: 'Visits', exact: true }).waitFor();

  writeFileSync(manifest, good);
  editFile(main, '<h1>Visits</h1>', '<h1>Encounters</h1>');
  await page.getByRole('heading', { name: 'Encounters', exact: true }).waitFor();
});

test('a change in a facet, and in a feature built by Vite, shows on the page that holds both', async (t) => {
  const root = checkout(t);
  const { dev, url } = await startDev(t, root, ['sdk/shared', 'examples']);
  const { page } = await openPage(t, browser, { url });
  await page.goto('/patientlist');
  await page.getByText('Allergy: Morphine').waitFor();

  editFile(join(root, 'examples/feature-allergybadge/src/view.js'), '`Allergy: ${names}`', '`Reacts to ${names}`');
  await page.getByText('Reacts to Morphine').waitFor();

  const list = join(root, 'examples/feature-patientlist/src/patient-list.tsx');
  editFile(list, '<h1>Patients</h1>', '<h1>People</h1>');
  await page.getByRole('heading', { name: 'People', exact: true }).waitFor();
  await page.getByText('Reacts to Morphine').waitFor();

  await page.evaluate(() => (window.marked = true));
  editFile(list, '<h1>People</h1>', '<h1>People</h1');
  await dev.printed(/^error: .*npm run build.* failed/);
  assert.equal(await page.evaluate(() => window.marked), true, 'source that does not build changes nothing');
  editFile(list, '<h1>People</h1', '<h1>Everybody</h1>');
  await page.getByRole('heading', { name: 'Everybody', exact: true }).waitFor();
});

test('the start page follows a change too', async (t) => {
  const root = checkout(t);
  const { url } = await startDev(t, root, ['examples/feature-appointments']);
  const { page } = await openPage(t, browser, { url });
  await page.goto('/');
  await page.getByRole('main').getByRole('link', { name: 'Appointments' }).waitFor();
  editFile(join(root, 'examples/feature-appointments/manifest.json'), '"displayName": "Appointments"', '"displayName": "Visits"');
  await page.getByRole('main').getByRole('link', { name: 'Visits' }).waitFor();
});

test('pages of a production host never ask, though it watches too', async (t) => {
  const host = await startHost(t, { artifacts: publishedFeatures(t), env: { HOT_REFRESH_WATCH: '1' } });
  const { page } = await openPage(t, browser, { url: host.url });
  const asked = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await page.goto('/patientlist');
  await page.getByText('Allergy: Morphine').waitFor();
  assert.equal('liveReload' in JSON.parse(await page.locator('#pilar-bootstrap').textContent()), false);
  assert.deepEqual(asked.filter((path) => path.startsWith('/_dev')), []);
  assert.equal((await fetch(`${host.url}/_dev/snapshot?current=other`)).status, 404);
});

test('without Node it says so and serves the features that need no build', async (t) => {
  const root = checkout(t);
  const empty = join(root, 'empty');
  mkdirSync(empty);
  const { dev, url } = await startDev(t, root, ['examples'], { PATH: empty });
  await dev.printed(/patientlist.*needs Node/);
  const { page } = await openPage(t, browser, { url });
  await page.goto('/appointments');
  await page.getByText('Anaphylaxis').waitFor();
  assert.equal((await page.goto('/patientlist')).status(), 404);
});

test('SIGTERM stops it, and no process stays behind', async (t) => {
  const root = checkout(t);
  const { dev, url } = await startDev(t, root, ['examples/feature-appointments']);
  const { pid } = dev.child;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
  assert.equal(children.length, 1, 'the host is its child');
  assert.equal(await dev.stop('SIGTERM'), 0);
  for (const child of children) assert.equal(existsSync(`/proc/${child}`), false);
  await assert.rejects(fetch(url));
});
