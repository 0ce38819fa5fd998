// One byte of a file is changed so that the file still works and shows something else. Each file is
// tried three times: damaged on the host's disk, which the host must notice; damaged on the way from
// a server that verifies nothing, which the browser must notice; and vouched for, as a control: then
// it does run, so the first two would have shown it.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { letPageRun, openPage, startBrowser } from './support/browser.js';
import { startHost } from './support/host.js';
import { alter, startMirror } from './support/mirror.js';
import { hashedFile, publishedFeatures } from './support/release.js';

const artifacts = publishedFeatures({ after });
const whole = await startHost({ after }, { artifacts });
const browser = await startBrowser({ after });

const panel = (page) => page.locator('main > .pilar-failure').getByRole('heading');
const facetPanel = (page) => page.locator('.appointments-allergies .pilar-failure');
const noSuchView = (page) => page.getByRole('alert').getByText('This view could not be shown');

/**
 * `ran` is evaluated in the page and tells whether the changed byte had an effect. `refused` is
 * what people see instead when the browser refuses the file, `withoutIt` when the host does.
 */
const FILES = [
  {
    what: 'an entry module',
    file: ['appointments', 'main', 'js'],
    was: 'Three days from today',
    now: 'Thr3e days from today',
    page: '/appointments',
    ran: () => document.body.textContent.includes('Thr3e days'),
    refused: panel,
    status: 503,
    withoutIt: (page) => page.getByRole('heading', { name: 'not available right now' }),
  },
  {
    what: 'a lazy chunk',
    file: ['patientlist', 'patient-detail', 'js'],
    was: 'Observations today',
    now: 'Observations tod4y',
    page: '/patientlist/T-0003',
    ran: () => document.body.textContent.includes('tod4y'),
    refused: noSuchView,
    status: 503,
    withoutIt: (page) => page.getByRole('heading', { name: 'not available right now' }),
  },
  {
    what: 'a stylesheet',
    file: ['appointments', 'style', 'css'],
    was: '1.375rem',
    now: '9.375rem',
    page: '/appointments',
    ran: () => [...document.styleSheets].some((sheet) => [...sheet.cssRules].some((rule) => rule.cssText.includes('9.375rem'))),
    refused: panel,
    status: 503,
    withoutIt: (page) => page.getByRole('heading', { name: 'not available right now' }),
  },
  {
    what: 'a shared package',
    file: ['_shared', 'react-dom-client', 'js'],
    was: '`__reactFiber$`',
    now: '`__reactfiber$`',
    page: '/patientlist',
    ran: () => Object.keys(document.querySelector('.patients') ?? {}).some((key) => key.startsWith('__reactfiber$')),
    refused: panel,
    status: 200,
    withoutIt: panel,
  },
  {
    what: 'the entry module of a facet',
    file: ['allergybadge', 'main', 'js'],
    was: "=== 'list'",
    now: "=== 'lisT'",
    page: '/appointments',
    ran: () =>
      [...document.querySelectorAll('.appointments-allergies *')].some((element) =>
        element.shadowRoot?.textContent.includes('Allergy: Penicillin'),
      ),
    refused: facetPanel,
    status: 200,
    withoutIt: facetPanel,
  },
];

const directory = ([feature]) => join(feature, '1.0.0');
const pathOf = ([feature, stem, extension]) => {
  const name = hashedFile(join(artifacts, directory([feature])), stem, extension);
  return feature === '_shared' ? `/_shared/${name}` : `/_assets/${feature}/1.0.0/${name}`;
};

/** By the bar, which must go on working. */
async function openOtherFeature(page) {
  const here = new URL(page.url()).pathname.split('/')[1];
  const [name, title] = here === 'appointments' ? ['Patient list', 'Patients'] : ['Appointments', 'Appointments'];
  await page.getByRole('navigation', { name: 'Features' }).getByRole('link', { name }).click();
  await page.getByRole('main').getByRole('heading', { name: title, level: 1, exact: true }).waitFor();
}

for (const { what, file, was, now, page: path, ran, refused, status, withoutIt } of FILES) {
  test(`${what}, damaged on disk, is refused by the host`, async (t) => {
    const damaged = publishedFeatures(t);
    const name = hashedFile(join(damaged, directory(file)), file[1], file[2]);
    const onDisk = join(damaged, directory(file), name);
    writeFileSync(onDisk, alter(readFileSync(onDisk), was, now));
    const host = await startHost(t, { artifacts: damaged });

    const { status: healthStatus, versions } = await host.health(file[0]);
    assert.equal(healthStatus, 503);
    assert.equal(versions[0].refused.code, 'file-hash');
    assert.ok(versions[0].refused.file.endsWith(name), versions[0].refused.file);
    assert.equal((await fetch(host.url + pathOf(file))).status, 404);

    const { page } = await openPage(t, browser, { url: host.url });
    assert.equal((await page.goto(path)).status(), status);
    await withoutIt(page).waitFor();
    await letPageRun(page);
    assert.equal(await page.evaluate(ran), false);
    await openOtherFeature(page);
  });

  test(`${what}, changed on its way, is refused by the browser`, async (t) => {
    const mirror = await startMirror(t, { of: whole.url, path: pathOf(file), was, now });
    const { page, problems } = await openPage(t, browser, { url: mirror.url });
    await page.goto(path);
    await refused(page).waitFor();
    await letPageRun(page);
    assert.equal(await page.evaluate(ran), false);
    assert.ok(problems.some((problem) => problem.includes('integrity')), problems.join('\n'));
    await openOtherFeature(page);
  });

  test(`${what}, changed and vouched for, runs: the control`, async (t) => {
    const mirror = await startMirror(t, { of: whole.url, path: pathOf(file), was, now, vouched: true });
    const { page, problems } = await openPage(t, browser, { url: mirror.url });
    await page.goto(path);
    await page.waitForFunction(ran);
    assert.deepEqual(problems, []);
  });
}

const SHELL = { was: '`Pilar`', now: '`Pilaf`', ran: () => document.title.includes('Pilaf') };
const shellPath = (await (await fetch(`${whole.url}/appointments`)).text()).match(/\/_sdk\/shell\.[0-9a-f]+\.js/)[0];

test('the shell runtime, changed on its way, is refused by the browser, and the page says so without it', async (t) => {
  const mirror = await startMirror(t, { of: whole.url, path: shellPath, ...SHELL });
  const { page, problems } = await openPage(t, browser, { url: mirror.url });
  await page.goto('/appointments');
  await page.waitForFunction(() => {
    const said = getComputedStyle(document.querySelector('.pilar-feature'), '::after');
    return said.visibility === 'visible' && said.content.includes('could not start');
  });
  assert.equal(await page.evaluate(SHELL.ran), false);
  assert.ok(problems.some((problem) => problem.includes('integrity')), problems.join('\n'));
  await page.getByRole('link', { name: 'Patient list' }).click();
  await page.waitForURL('**/patientlist');
});

test('the shell runtime, changed and vouched for, runs: the control', async (t) => {
  const mirror = await startMirror(t, { of: whole.url, path: shellPath, ...SHELL, vouched: true });
  const { page } = await openPage(t, browser, { url: mirror.url });
  await page.goto('/appointments');
  await page.waitForFunction(SHELL.ran);
});

test('Try again starts the feature once the bytes are right, though the browser cached the wrong ones', async (t) => {
  const { file, was, now, page: path } = FILES[0];
  const mirror = await startMirror(t, { of: whole.url, path: pathOf(file), was, now });
  const { page } = await openPage(t, browser, { url: mirror.url });
  await page.goto(path);
  await panel(page).waitFor();
  mirror.mended = true;
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByText('Three days from today').waitFor();
});
