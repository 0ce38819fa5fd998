// Pictures for people to look at. `UPDATE_SCREENSHOTS=1` puts them into docs/images/; otherwise they
// go to a temporary directory that is named in the output.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { signIn, troubledHost } from './support/admin.js';
import { letPageRun, openPage, startBrowser } from './support/browser.js';
import { REPOSITORY } from './support/environment.js';
import { startHost } from './support/host.js';
import { publishedFeatures } from './support/release.js';

const MAX_BYTES = 200 * 1024;

const kept = process.env.UPDATE_SCREENSHOTS === '1';
const directory = kept ? join(REPOSITORY, 'docs/images') : mkdtempSync(join(tmpdir(), 'pilar-pictures-'));
mkdirSync(directory, { recursive: true });

const examples = await startHost({ after }, { artifacts: publishedFeatures({ after }) });
const failing = await startHost({ after }, { artifacts: publishedFeatures({ after }, { also: ['throws'] }) });
const troubled = await troubledHost({ after });
const browser = await startBrowser({ after });

const narrow = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2 };
const dark = { colorScheme: 'dark' };

const PICTURES = [
  { name: 'patientlist', path: '/patientlist', whole: 'Allergy: Morphine' },
  { name: 'patientlist-dark', path: '/patientlist', whole: 'Allergy: Morphine', options: dark },
  { name: 'patientlist-narrow', path: '/patientlist', whole: 'Allergy: Morphine', options: narrow },
  { name: 'patient', path: '/patientlist/T-0003', whole: 'Contact dermatitis' },
  { name: 'appointments', path: '/appointments', whole: 'Anaphylaxis' },
  { name: 'appointments-narrow-dark', path: '/appointments', whole: 'Anaphylaxis', options: { ...narrow, ...dark } },
  { name: 'start', path: '/', whole: 'Choose where to go' },
  { name: 'no-such-page', path: '/nowhere', whole: 'There is no such page' },
  { name: 'failure-panel', path: '/throws', whole: 'This part could not start', host: failing },
];

/** Tall enough for the check that failed. */
const tall = { viewport: { width: 1280, height: 1280 } };

const ADMIN_PICTURES = [
  { name: 'admin-overview', path: '/_admin' },
  { name: 'admin-overview-dark', path: '/_admin', options: dark },
  { name: 'admin-feature', path: '/_admin/features/appointments', options: tall },
  { name: 'admin-feature-dark', path: '/_admin/features/appointments', options: { ...tall, ...dark } },
  { name: 'admin-overview-narrow', path: '/_admin', options: narrow },
];

for (const { name, path, whole, options = {}, host = examples } of PICTURES) {
  test(`a picture of ${path}, as ${name}.png`, async (t) => {
    const { page } = await openPage(t, browser, { url: host.url, ...options });
    // The appointments are those of today; in a picture today is always the same.
    await page.clock.setFixedTime(new Date('2026-03-02T09:00:00'));
    await page.goto(path);
    await page.getByText(whole).first().waitFor();
    await letPageRun(page);
    await takePicture(t, page, name);
  });
}

for (const { name, path, options = {} } of ADMIN_PICTURES) {
  test(`a picture of ${path}, as ${name}.png`, async (t) => {
    const { page } = await openPage(t, browser, { url: troubled.url, ...options });
    await signIn(page);
    await page.goto(path);
    await letPageRun(page);
    await takePicture(t, page, name);
  });
}

async function takePicture(t, page, name) {
  const file = join(directory, `${name}.png`);
  const { length } = await page.screenshot({ path: file });
  assert.ok(length <= MAX_BYTES, `${file} has ${length} bytes`);
  t.diagnostic(file);
}
