// A page is told in its `link` header of everything it needs before its feature runs, so nothing
// waits to be discovered in something else. What comes later by `import()` is not among it.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openPage, startBrowser } from './support/browser.js';
import { startHost } from './support/host.js';
import { editFile, example, publishVersion, publishedFeatures } from './support/release.js';

const host = await startHost({ after }, { artifacts: publishedFeatures({ after }) });
const isolated = await startHost({ after }, { artifacts: appointmentsInAShadowRoot() });
const browser = await startBrowser({ after });

/** There the runtime, not the page, puts the style sheet to use. */
function appointmentsInAShadowRoot() {
  const artifacts = publishedFeatures({ after });
  publishVersion({ after }, {
    source: example('appointments'),
    version: '1.1.0',
    into: artifacts,
    edit: (source) => editFile(`${source}/manifest.json`, '"arena":', '"isolation": { "shadowDOM": true }, "arena":'),
  });
  return artifacts;
}

/** Facets are embedded by a feature that runs. */
const LATER = /^\/_assets\/allergybadge\//;
const PAGES = [
  { path: '/', whole: (page) => page.getByRole('heading', { name: 'Start' }), atLeast: 3 },
  { path: '/patientlist', whole: (page) => page.getByText('Allergy: Morphine'), atLeast: 10 },
  { path: '/appointments', whole: (page) => page.getByText('Anaphylaxis'), atLeast: 6 },
  { path: '/appointments', on: isolated, what: ' in a shadow root', whole: (page) => page.getByText('Anaphylaxis'), atLeast: 6 },
];

/** Opens a page and lists the files that it fetched from the host. `answer` decides when each gets its reply. */
async function fetched(t, { path, on = host, whole }, { announced = true, answer = (route) => route.continue() }) {
  const { page, problems } = await openPage(t, browser, { url: on.url });
  page.on('console', (message) => {
    if (message.type() === 'warning') problems.push(`console: ${message.text()}`);
  });
  const files = [];
  await page.route('**/*', async (route) => {
    if (route.request().isNavigationRequest()) {
      const response = await route.fetch();
      const { link, ...others } = response.headers();
      assert.ok(link, 'the page announces what it needs');
      await route.fulfill({ response, headers: announced ? response.headers() : others });
    } else {
      files.push(new URL(route.request().url()).pathname);
      await answer(route, files);
    }
  });
  await page.goto(path, { waitUntil: 'commit' });
  await whole(page).waitFor();
  await page.waitForLoadState('networkidle');
  assert.deepEqual(problems, []);
  return files;
}

for (const shown of PAGES) {
  const name = `${shown.path}${shown.what ?? ''}`;

  test(`${name} fetches each file once, and announces none that it does not need`, async (t) => {
    const discovered = await fetched(t, shown, { announced: false });
    const announced = await fetched(t, shown, {});
    assert.deepEqual(announced.sort(), [...new Set(discovered)].sort());
  });

  test(`${name} asks for everything before the first file has come`, async (t) => {
    const needed = (await fetched(t, shown, {})).filter((file) => !LATER.test(file));
    assert.ok(needed.length >= shown.atLeast, needed.join('\n'));
    // No file is answered until all were asked for: a file that another one leads to would never be.
    let release;
    const all = new Promise((resolve) => (release = resolve));
    await fetched(t, shown, {
      answer: async (route, files) => {
        if (needed.every((file) => files.includes(file))) release();
        await all;
        await route.continue();
      },
    });
  });
}
