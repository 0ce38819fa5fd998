import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { letPageRun, openPage, startBrowser } from './support/browser.js';
import { startHost } from './support/host.js';
import { publishedFeatures } from './support/release.js';

const host = await startHost({ after }, { artifacts: publishedFeatures({ after }, { also: ['probe'] }) });
const browser = await startBrowser({ after });

/** Opens a path and marks the document, so that a new one can be told from it. */
async function openMarked(t, path) {
  const { page, problems } = await openPage(t, browser, { url: host.url });
  await page.goto(path);
  await page.evaluate(() => (window.marked = true));
  return { page, problems, sameDocument: () => page.evaluate(() => window.marked === true) };
}

const inBar = (page, name) => page.getByRole('navigation', { name: 'Features' }).getByRole('link', { name });
const heading = (page, name) => page.locator('main').getByRole('heading', { name, level: 1, exact: true });
const path = (page) => new URL(page.url()).pathname;

test('moving to another feature loads no document', async (t) => {
  const { page, problems, sameDocument } = await openMarked(t, '/patientlist');
  await heading(page, 'Patients').waitFor();
  await inBar(page, 'Appointments').click();
  await heading(page, 'Appointments').waitFor();
  assert.equal(path(page), '/appointments');
  await inBar(page, 'Patient list').click();
  await heading(page, 'Patients').waitFor();
  assert.equal(path(page), '/patientlist');
  assert.equal(await sameDocument(), true);
  assert.deepEqual(problems, []);
});

test('what a feature set up is gone when it is left', async (t) => {
  const { page } = await openMarked(t, '/probe');
  await heading(page, 'Probe 1.0.0').waitFor();
  await page.waitForFunction(() => window.probe.ticks > 0);
  await page.evaluate(() => window.pingProbe());
  assert.equal(await page.locator('link[href*="/_assets/probe/"][rel=stylesheet]').count(), 1);

  await inBar(page, 'Appointments').click();
  await heading(page, 'Appointments').waitFor();
  const left = await page.evaluate(() => ({ ...window.probe }));
  assert.deepEqual({ ...left, ticks: 0 }, { mounts: 1, unmounts: 1, cleanups: 1, ticks: 0, pings: 1 });
  assert.equal(await page.locator('#probe-root').count(), 0);
  assert.equal(await page.locator('link[href*="/_assets/probe/"][rel=stylesheet]').count(), 0);

  await page.evaluate(() => window.pingProbe());
  await letPageRun(page);
  assert.deepEqual(await page.evaluate(() => window.probe), left, 'neither the interval nor the subscription lives on');

  await inBar(page, 'Probe').click();
  await heading(page, 'Probe 1.0.0').waitFor();
  await page.waitForFunction((before) => window.probe.ticks > before, left.ticks);
  await page.evaluate(() => window.pingProbe());
  assert.deepEqual(
    await page.evaluate(() => ({ mounts: window.probe.mounts, pings: window.probe.pings })),
    { mounts: 2, pings: 2 },
    'entered again, it lives once',
  );
});

test('React is unmounted with the feature, and its facets with it', async (t) => {
  const { page, problems } = await openMarked(t, '/patientlist');
  await page.getByText('Allergy: Morphine').waitFor();
  const rows = await page.locator('.patients-rows').elementHandle();
  const facets = await page.locator('.patients-allergy').elementHandles();
  await inBar(page, 'Appointments').click();
  await heading(page, 'Appointments').waitFor();
  assert.equal(await rows.evaluate((element) => element.isConnected), false);
  const left = await Promise.all(facets.map((facet) => facet.evaluate((element) => element.childElementCount)));
  assert.deepEqual(new Set(left), new Set([0]), 'no facet is left, not even in elements that are out of the page');
  assert.deepEqual(problems, []);
});

test('title, bar, focus and announcement follow', async (t) => {
  const { page } = await openMarked(t, '/patientlist');
  await heading(page, 'Patients').waitFor();
  assert.equal(await page.title(), 'Patient list · Pilar');
  assert.equal(await inBar(page, 'Patient list').getAttribute('aria-current'), 'page');

  await inBar(page, 'Appointments').click();
  await heading(page, 'Appointments').waitFor();
  assert.equal(await page.title(), 'Appointments · Pilar');
  assert.equal(await page.locator('#pilar-title').textContent(), 'Appointments');
  assert.equal(await inBar(page, 'Appointments').getAttribute('aria-current'), 'page');
  assert.equal(await inBar(page, 'Patient list').getAttribute('aria-current'), null);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'pilar-main');
  assert.equal(await page.locator('#pilar-announcer').textContent(), 'Appointments');
});

test('back and forward move between features, and within one they are its own', async (t) => {
  const { page, problems, sameDocument } = await openMarked(t, '/patientlist');
  await page.getByRole('link', { name: 'Test patient Fir' }).click();
  await heading(page, 'Test patient Fir').waitFor();
  await page.getByRole('main').getByRole('link', { name: 'Appointments' }).click();
  await heading(page, 'Appointments').waitFor();
  assert.equal(new URL(page.url()).search, '?patient=T-0006');
  await page.getByRole('heading', { name: 'Test patient Fir' }).waitFor();

  await page.goBack();
  await heading(page, 'Test patient Fir').waitFor();
  await page.goBack();
  await heading(page, 'Patients').waitFor();
  await page.goForward();
  await heading(page, 'Test patient Fir').waitFor();
  await page.goForward();
  await heading(page, 'Appointments').waitFor();
  assert.equal(await sameDocument(), true);
  assert.deepEqual(problems, []);
});

test('a link in one feature opens a deep address of another', async (t) => {
  const { page, sameDocument } = await openMarked(t, '/appointments');
  await page.getByRole('link', { name: 'Open T-0001 in the patient list' }).click();
  await heading(page, 'Test patient Alder').waitFor();
  assert.equal(path(page), '/patientlist/T-0001');
  assert.equal(await sameDocument(), true);
});

test('a fast double click, and changing one’s mind, end on the last choice', async (t) => {
  const { page, problems, sameDocument } = await openMarked(t, '/patientlist');
  await heading(page, 'Patients').waitFor();
  const before = await page.evaluate(() => history.length);
  await inBar(page, 'Probe').dblclick();
  await heading(page, 'Probe 1.0.0').waitFor();
  await letPageRun(page);
  assert.deepEqual(await page.evaluate(() => [window.probe.mounts, window.probe.unmounts]), [1, 0]);
  assert.equal(await page.evaluate(() => history.length), before + 1);

  // Within one task: the first one is still loading when the second is chosen.
  await page.evaluate(() => {
    const click = (path) => document.querySelector(`.pilar-switcher a[href="${path}"]`).click();
    click('/patientlist');
    click('/appointments');
    click('/patientlist');
    click('/appointments');
  });
  await heading(page, 'Appointments').waitFor();
  await letPageRun(page);
  assert.equal(await page.locator('main').getByRole('heading', { level: 1 }).count(), 1);
  assert.equal(await sameDocument(), true);
  assert.deepEqual(problems, []);
});

test('a click that asks for another tab is left to the browser', async (t) => {
  const { page } = await openMarked(t, '/patientlist');
  await heading(page, 'Patients').waitFor();
  const [tab] = await Promise.all([
    page.context().waitForEvent('page'),
    inBar(page, 'Appointments').click({ modifiers: ['Control'] }),
  ]);
  await heading(tab, 'Appointments').waitFor();
  assert.equal(path(page), '/patientlist');
});
