import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { accessibilityProblems } from './support/accessibility.js';
import { openPage, startBrowser } from './support/browser.js';
import { startHost } from './support/host.js';
import { publishedFeatures } from './support/release.js';

const host = await startHost({ after }, { artifacts: publishedFeatures({ after }, { also: ['throws', 'silent'] }) });
const browser = await startBrowser({ after });
const open = (t, options) => openPage(t, browser, { url: host.url, ...options });

const panel = (page) => page.getByRole('alert');
const inBar = (page, name) => page.getByRole('navigation', { name: 'Features' }).getByRole('link', { name });

/** A page whose clock stands still until the test moves it. */
async function openWithClock(t, path) {
  const { page, problems } = await open(t);
  await page.clock.install();
  await page.goto(path);
  await page.waitForFunction(() => typeof window.finishLate === 'function');
  return { page, problems };
}

test('a feature that throws is replaced by a panel that says who, and how to ask for help', async (t) => {
  const { page, problems } = await open(t);
  await page.goto('/throws');
  await panel(page).getByRole('heading', { name: 'Night report' }).waitFor();
  const text = await panel(page).evaluate((element) => element.shadowRoot.querySelector('section').textContent);
  assert.match(text, /This part could not start\./);
  assert.match(text, /Version 1\.0\.0, snapshot \S+, reference [2-9A-Z]{3}-[2-9A-Z]{3}/);
  const [reference] = text.match(/[2-9A-Z]{3}-[2-9A-Z]{3}/);
  const logged = problems.filter((problem) => problem.includes(reference));
  assert.equal(logged.length, 1, `the console has the reference once: ${problems}`);
  assert.match(logged[0], /the report cannot be read/);
  assert.equal(await page.getByText('Half of the night report').count(), 0, 'nothing half-drawn is left');
  assert.equal(await panel(page).evaluate((element) => element === document.activeElement), true);
});

test('the other features go on from there, and the panel goes with the feature', async (t) => {
  const { page } = await open(t);
  await page.goto('/throws');
  await panel(page).waitFor();
  await page.evaluate(() => (window.marked = true));
  await inBar(page, 'Appointments').click();
  await page.getByText('Anaphylaxis').waitFor();
  assert.equal(await panel(page).count(), 0);
  assert.equal(await page.evaluate(() => window.marked), true, 'the document is the same');
});

test('a feature that throws only when it is moved to leaves the page and its bar', async (t) => {
  const { page } = await open(t);
  await page.goto('/appointments');
  await page.getByText('Anaphylaxis').waitFor();
  await inBar(page, 'Night report').click();
  await panel(page).getByRole('heading', { name: 'Night report' }).waitFor();
  assert.equal(await page.title(), 'Night report · Pilar');
  await page.goBack();
  await page.getByText('Anaphylaxis').waitFor();
});

test('Try again starts a feature that can start by now', async (t) => {
  const { page } = await open(t);
  await page.goto('/throws');
  await panel(page).waitFor();
  await page.evaluate(() => localStorage.setItem('mended', 'yes'));
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('heading', { name: 'The night report' }).waitFor();
  assert.equal(await panel(page).count(), 0);
});

test('Try again keeps the page while the server cannot be reached, and says so', async (t) => {
  const { page } = await open(t);
  await page.goto('/throws');
  await panel(page).waitFor();
  await page.context().setOffline(true);
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByText('The server does not answer.').waitFor();
  await page.getByText('Offline', { exact: true }).waitFor();
  await page.context().setOffline(false);
  await page.evaluate(() => localStorage.setItem('mended', 'yes'));
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('heading', { name: 'The night report' }).waitFor();
});

test('a feature that never says that it started is replaced after the host’s time limit', async (t) => {
  const { page } = await openWithClock(t, '/silent');
  const { bootstrapTimeoutMs } = JSON.parse(await page.locator('#pilar-bootstrap').textContent());
  assert.equal(await panel(page).count(), 0);
  await page.clock.fastForward(bootstrapTimeoutMs);
  await panel(page).getByRole('heading', { name: 'Ward map' }).waitFor();
});

test('a feature that starts after all takes the place of its panel', async (t) => {
  const { page } = await openWithClock(t, '/silent');
  await page.clock.fastForward(60_000);
  await panel(page).waitFor();
  await page.evaluate(() => window.finishLate());
  await page.getByRole('heading', { name: 'The ward map' }).waitFor();
  assert.equal(await panel(page).count(), 0);
});

for (const colorScheme of ['light', 'dark']) {
  for (const width of [1280, 360]) {
    test(`the panel is accessible, ${colorScheme} and ${width} px wide`, async (t) => {
      const { page } = await open(t, { colorScheme, viewport: { width, height: 800 } });
      await page.goto('/throws');
      await panel(page).waitFor();
      assert.deepEqual(await accessibilityProblems(page), []);
    });
  }
}
