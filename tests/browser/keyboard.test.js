import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openPage, startBrowser } from './support/browser.js';
import { startHost } from './support/host.js';
import { publishedFeatures } from './support/release.js';

const host = await startHost({ after }, { artifacts: publishedFeatures({ after }) });
const browser = await startBrowser({ after });

async function open(t, path, whole) {
  const { page } = await openPage(t, browser, { url: host.url });
  await page.goto(path);
  await page.getByText(whole).first().waitFor();
  return page;
}

/** What has the focus, as people would name it; shadow roots are looked into. */
const focused = (page) =>
  page.evaluate(() => {
    let element = document.activeElement;
    while (element.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
    return (element.labels?.[0]?.querySelector('span') ?? element).textContent.trim().replace(/\s+/g, ' ');
  });

/** What the tab key reaches next, `count` times. */
async function tabThrough(page, count) {
  const reached = [];
  for (let step = 0; step < count; step += 1) {
    await page.keyboard.press('Tab');
    reached.push(await focused(page));
  }
  return reached;
}

test('the tab key goes from the skip link over the bar into the list', async (t) => {
  const page = await open(t, '/patientlist', 'Allergy: Morphine');
  assert.deepEqual(await tabThrough(page, 8), [
    'Skip to content',
    'Pilar',
    'Patient list',
    'Appointments',
    'Search',
    'Ward',
    'Test patient Alder',
    'Test patient Birch',
  ]);
});

test('what has the focus can be seen', async (t) => {
  for (const [path, whole] of [['/patientlist', 'Allergy: Morphine'], ['/appointments', 'Anaphylaxis'], ['/', 'Choose where to go']]) {
    const page = await open(t, path, whole);
    const stops = path === '/' ? 6 : 12;
    for (let stop = 0; stop < stops; stop += 1) {
      await page.keyboard.press('Tab');
      const shown = await page.evaluate(() => {
        const element = document.activeElement;
        // A row is outlined as a whole, though its link has the focus; the skip link appears.
        const marked = [element, element.closest('li')].some(
          (candidate) => candidate && getComputedStyle(candidate).outlineStyle !== 'none',
        );
        const box = element.getBoundingClientRect();
        return { marked, within: box.bottom > 0 && box.top < innerHeight };
      });
      assert.deepEqual(shown, { marked: true, within: true }, `stop ${stop + 1} of ${path}: ${await focused(page)}`);
    }
  }
});

test('the skip link leads past the bar', async (t) => {
  const page = await open(t, '/patientlist', 'Allergy: Morphine');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'pilar-main');
  assert.deepEqual(await tabThrough(page, 1), ['Search']);
  assert.equal(await page.locator('.patients-row').count(), 12, 'the feature stays as it is');
});

test('the enter key opens a patient, and focus comes back to the row', async (t) => {
  const page = await open(t, '/patientlist', 'Allergy: Morphine');
  await page.getByRole('link', { name: 'Test patient Birch' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Test patient Birch' }).waitFor();
  await page.waitForFunction(() => document.activeElement.tagName === 'H1');
  await page.keyboard.press('Shift+Tab');
  assert.equal(await focused(page), 'All patients');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.activeElement.dataset.patient === 'T-0002');
});

test('the enter key in the bar moves to another feature, which the tab key then enters', async (t) => {
  const page = await open(t, '/patientlist', 'Allergy: Morphine');
  await tabThrough(page, 4);
  await page.keyboard.press('Enter');
  await page.getByText('Anaphylaxis').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'pilar-main');
  const [first] = await tabThrough(page, 1);
  assert.equal(first, 'Open T-0001 in the patient list');
});

test('arrow keys move through the appointments, and space selects', async (t) => {
  const page = await open(t, '/appointments', 'Anaphylaxis');
  await page.locator('.appointment').first().focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Space');
  await page.getByText('Contact dermatitis').waitFor();
  assert.equal(await page.getByRole('button', { pressed: true }).textContent().then((text) => text.includes('Cedar')), true);
});
