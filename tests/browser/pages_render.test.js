import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { accessibilityProblems } from './support/accessibility.js';
import { letPageRun, openPage, startBrowser } from './support/browser.js';
import { startHost } from './support/host.js';
import { publishedFeatures } from './support/release.js';

const host = await startHost({ after }, { artifacts: publishedFeatures({ after }) });
const browser = await startBrowser({ after });
const open = (t, options) => openPage(t, browser, { url: host.url, ...options });

/** Every page, with something that is there only once it is whole. */
const PAGES = [
  { path: '/', whole: (page) => page.getByRole('heading', { name: 'Start' }) },
  { path: '/patientlist', whole: (page) => page.getByText('Allergy: Morphine') },
  { path: '/patientlist/T-0003', whole: (page) => page.getByText('Contact dermatitis') },
  { path: '/appointments', whole: (page) => page.getByText('Anaphylaxis') },
  { path: '/nowhere', status: 404, whole: (page) => page.getByRole('heading', { name: 'There is no such page' }) },
];

for (const { path, status = 200, whole } of PAGES) {
  test(`${path} renders without an error, a policy violation or a failed request`, async (t) => {
    const { page, problems } = await open(t);
    const reply = await page.goto(path);
    await whole(page).waitFor();
    await page.waitForLoadState('networkidle');
    assert.equal(reply.status(), status);
    // Put together from parts; what decodes it is none of ours. A short message is not worth it.
    if (status === 200) assert.equal(await reply.headerValue('content-encoding'), 'br');
    const own = problems.filter((problem) => !(status === 404 && problem.includes('404')));
    assert.deepEqual(own, []);
  });

  for (const colorScheme of ['light', 'dark']) {
    for (const width of [1280, 360]) {
      test(`${path} is accessible and fits, ${colorScheme} and ${width} px wide`, async (t) => {
        const { page } = await open(t, { colorScheme, viewport: { width, height: 800 } });
        await page.goto(path);
        await whole(page).waitFor();
        assert.deepEqual(await accessibilityProblems(page), []);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(overflow <= 0, `the page is ${overflow} px wider than its window`);
      });
    }
  }
}

test('the patient list is drawn by React, with a facet of another feature in its shadow root', async (t) => {
  const { page } = await open(t);
  await page.goto('/patientlist');
  const row = page.getByRole('listitem').filter({ hasText: 'Test patient Cedar' });
  await row.getByText('Allergy: Latex, Kiwi').waitFor();
  assert.equal(await page.locator('.patients-row').count(), 12);
  const facet = row.locator('.patients-allergy > *');
  assert.equal(await facet.evaluate((element) => element.shadowRoot?.textContent.includes('Latex, Kiwi')), true);
  const drawnByReact = await row.evaluate((element) => Object.keys(element).some((key) => key.startsWith('__reactFiber')));
  assert.equal(drawnByReact, true);
});

test('a patient opens by a click, by a deep link and after a reload, and back and forward move between', async (t) => {
  const { page, problems } = await open(t);
  const detail = page.getByRole('heading', { name: 'Test patient Cedar' });
  const list = page.getByRole('heading', { name: 'Patients', exact: true });

  await page.goto('/patientlist');
  await page.getByRole('link', { name: 'Test patient Cedar' }).click();
  await detail.waitFor();
  assert.equal(new URL(page.url()).pathname, '/patientlist/T-0003');
  await page.reload();
  await detail.waitFor();
  await page.goBack();
  await list.waitFor();
  await page.goForward();
  await detail.waitFor();
  await page.getByText('Contact dermatitis').waitFor();

  const deep = await open(t);
  await deep.page.goto('/patientlist/T-0003');
  await deep.page.getByRole('heading', { name: 'Test patient Cedar' }).waitFor();
  assert.deepEqual([...problems, ...deep.problems], []);
});

test('the search narrows the list, and says so', async (t) => {
  const { page } = await open(t);
  await page.goto('/patientlist');
  await page.getByLabel('Search').fill('hip');
  await page.getByText('1 patient, all invented').waitFor();
  assert.equal(await page.locator('.patients-row').count(), 1);
});

test('the start page lists every domain feature, in the order of the bar, and leads there', async (t) => {
  const { page } = await open(t);
  await page.goto('/');
  const cards = page.locator('main').getByRole('link');
  const places = await cards.evaluateAll((links) => links.map((link) => new URL(link.href).pathname));
  assert.deepEqual(places, ['/patientlist', '/appointments']);
  await cards.filter({ hasText: 'Appointments' }).click();
  await page.getByRole('heading', { name: 'Appointments', exact: true }).waitFor();
});

test('an asset that is not there is a plain 404, never a page', async () => {
  for (const path of ['/_assets/appointments/1.0.0/nothing.js', '/_shared/nothing.js', '/_sdk/nothing.js']) {
    const reply = await fetch(host.url + path);
    assert.equal(reply.status, 404, path);
    assert.doesNotMatch(await reply.text(), /<html/, path);
    assert.equal(reply.headers.get('x-content-type-options'), 'nosniff', path);
  }
});

test('the policy lets no inline script run', async (t) => {
  const { page, problems } = await open(t);
  await page.goto('/patientlist');
  await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'window.inlineRan = true';
    document.body.append(script);
    document.body.insertAdjacentHTML('beforeend', '<img src="data:," onerror="window.handlerRan = true">');
  });
  await letPageRun(page);
  assert.equal(await page.evaluate(() => window.inlineRan ?? window.handlerRan), undefined);
  assert.equal(problems.filter((problem) => problem.startsWith('content security policy')).length, 2);
});
