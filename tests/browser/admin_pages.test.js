import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { accessibilityProblems } from './support/accessibility.js';
import { TOKEN, emptyHost, signIn, troubledHost, wellHost } from './support/admin.js';
import { openPage, startBrowser } from './support/browser.js';
import { example, publishVersion } from './support/release.js';

const browser = await startBrowser({ after });
const hosts = {
  'a host in trouble': await troubledHost({ after }),
  'a host on which all is well': await wellHost({ after }),
  'an empty host': await emptyHost({ after }),
};
const troubled = hosts['a host in trouble'];

const FEATURES = ['appointments', 'patientlist', 'silent', 'throws'].map((id) => `/_admin/features/${id}`);
const PAGES = ['/_admin', '/_admin/features', '/_admin/routes', '/_admin/traffic', '/_admin/events'];
const VIEWPORTS = [1280, 820, 360].map((width) => ({ width, height: 800 }));

async function signedIn(t, host, options = {}) {
  const opened = await openPage(t, browser, { url: host.url, ...options });
  await signIn(opened.page);
  return opened;
}

for (const [name, host] of Object.entries(hosts)) {
  for (const colorScheme of ['light', 'dark']) {
    test(`${name}, ${colorScheme}: no page has an accessibility problem, breaks its policy or is wider than the window`, async (t) => {
      const { page, problems } = await openPage(t, browser, { url: host.url, colorScheme });
      await page.goto('/_admin');
      assert.deepEqual(await accessibilityProblems(page), [], 'the form to sign in');
      await signIn(page);
      for (const path of host === troubled ? [...PAGES, ...FEATURES] : PAGES) {
        for (const viewport of VIEWPORTS) {
          await page.setViewportSize(viewport);
          await page.goto(path);
          assert.deepEqual(await accessibilityProblems(page), [], `${path} at ${viewport.width}`);
          const width = await page.evaluate(() => document.documentElement.scrollWidth);
          assert.ok(width <= viewport.width, `${path} is ${width} wide at ${viewport.width}`);
        }
      }
      assert.deepEqual(problems, []);
    });
  }
}

test('everything can be read and refreshed without scripts', async (t) => {
  const { page } = await signedIn(t, troubled, { javaScriptEnabled: false });
  await page.getByRole('heading', { name: 'nothing to serve', level: 1 }).waitFor();
  const row = page.getByRole('row', { name: 'appointments' }).first();
  assert.match(await row.innerText(), /Fell back\s+1\.0\.0\s+1\.1\.0\s+Check 13, files, refused 1\.1\.0\/main\./);
  await page.getByRole('link', { name: 'appointments' }).first().click();
  const finding = page.getByRole('list', { name: 'Checks of version 1.1.0' }).locator('details');
  assert.match(await finding.innerText(), /file-hash[^]*Expected\s+SHA-256 [0-9a-f]{64}\s+Found\s+SHA-256 [0-9a-f]{64}/);
  assert.ok(await page.getByText('key browser-tests').first().isVisible());
  await page.getByRole('button', { name: 'Refresh from the artifacts' }).click();
  await page.getByText('The artifacts were looked at again.').waitFor();
  await page.getByRole('navigation').getByRole('link', { name: 'Events' }).click();
  await page.getByLabel('Severity').selectOption('Errors');
  await page.getByRole('button', { name: 'Show' }).click();
  await page.getByText('prefix-conflict').waitFor();
  assert.equal(await page.getByText('snapshot-in-place').count(), 0);
});

test('the figures of the traffic change by themselves, and an open page says when it is no longer current', async (t) => {
  const host = await troubledHost(t);
  const { page, problems } = await signedIn(t, host);
  await page.goto('/_admin/traffic');
  const requests = () => page.getByRole('row', { name: 'patientlist' }).getByRole('cell').first().innerText();
  for (let asked = 0; asked < 3; asked += 1) await page.request.get('/patientlist');
  await page.getByRole('row', { name: 'patientlist' }).waitFor();
  const before = Number(await requests());
  for (let asked = 0; asked < 3; asked += 1) await page.request.get('/patientlist');
  await page.waitForFunction(
    (least) => {
      const row = [...document.querySelectorAll('tr')].find((one) => one.innerText.startsWith('patientlist'));
      return Number(row?.querySelector('td').innerText) >= least;
    },
    before + 3,
  );
  assert.equal(await page.getByText('The host serves another snapshot now.').isVisible(), false);
  publishVersion(t, { source: example('patientlist'), version: '1.1.0', into: host.artifacts });
  const token = { headers: { authorization: `Bearer ${TOKEN}` } };
  assert.equal((await fetch(`${host.url}/_admin/refresh`, { method: 'POST', ...token })).status, 200);
  await page.getByText('The host serves another snapshot now.').waitFor();
  assert.deepEqual(problems, []);
});

test('an open overview turns when the state does, and its button still refreshes', async (t) => {
  const host = await wellHost(t);
  const { page, problems } = await signedIn(t, host);
  await page.getByRole('heading', { name: 'Everything is as released', level: 1 }).waitFor();
  writeFileSync(join(host.artifacts, 'appointments', 'releases.json'), '{}');
  const token = { headers: { authorization: `Bearer ${TOKEN}` } };
  assert.equal((await fetch(`${host.url}/_admin/refresh`, { method: 'POST', ...token })).status, 200);
  await page.getByRole('heading', { name: 'last good version serving', level: 1 }).waitFor();
  assert.match(await page.getByRole('row', { name: 'appointments' }).first().innerText(), /Last good/);
  await page.getByRole('button', { name: 'Refresh from the artifacts' }).click();
  await page.getByText('The artifacts were looked at again.').waitFor();
  assert.deepEqual(problems, []);
});

test('a page that is no longer kept current says so', async (t) => {
  const { page } = await signedIn(t, await wellHost(t));
  await page.route('**/_admin/live*', (route) => route.fulfill({ status: 503, body: '' }));
  await page.goto('/_admin/traffic');
  await page.getByText('No longer kept current; load the page again for later figures.').waitFor();
});

test('the keyboard reaches everything, and opens what is closed', async (t) => {
  const { page } = await signedIn(t, troubled);
  await page.goto('/_admin/features/appointments');
  const focused = () => page.evaluate(() => document.activeElement.textContent.trim());
  const reached = [];
  for (let step = 0; step < 10; step += 1) {
    await page.keyboard.press('Tab');
    reached.push(await focused());
  }
  assert.deepEqual(reached, [
    'Skip to content',
    'Pilaradmin',
    'Overview',
    'Features',
    'Routes',
    'Traffic',
    'Events',
    'Sign out',
    'Features',
    'Refresh from the artifacts',
  ]);
  const older = page.locator('details.version').nth(1);
  await older.locator('> summary').focus();
  await page.keyboard.press('Enter');
  assert.equal(await older.evaluate((details) => details.open), true);
});

test('a wrong token is refused in words, and signing out ends the session', async (t) => {
  const { page } = await openPage(t, browser, { url: troubled.url });
  await page.goto('/_admin/events');
  await page.getByLabel('Admin token').fill('wrong');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').getByText('This is not the token of this host.').waitFor();
  assert.deepEqual(await accessibilityProblems(page), []);
  await page.getByLabel('Admin token').fill(TOKEN);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: /^[\d,]+ events$/ }).waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.goto('/_admin/events');
  await page.getByLabel('Admin token').waitFor();
});
