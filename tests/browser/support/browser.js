import { chromium } from 'playwright-core';
import { cleanEnvironment } from './environment.js';

const EXECUTABLE = '/usr/bin/chromium';
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
/** Long enough for a busy machine; nothing is said by how long something takes. */
const PATIENCE_MS = 60_000;

/** Starts Chromium with an empty profile; it ends with the tests of the file. */
export async function startBrowser({ after }) {
  const browser = await chromium.launch({ executablePath: EXECUTABLE, args: ARGUMENTS, env: cleanEnvironment() });
  after(() => browser.close());
  return browser;
}

/**
 * A page with an empty cache, and the list of what went wrong on it: console errors, uncaught
 * errors, violations of the content security policy, requests that failed or were refused.
 */
export async function openPage(t, browser, { url, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, baseURL: url, ...options });
  t.after(() => context.close());
  context.setDefaultTimeout(PATIENCE_MS);
  const problems = [];
  await context.exposeBinding('__cspViolation', (_, text) => problems.push(`content security policy: ${text}`));
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      window.__cspViolation(`${event.effectiveDirective} refused ${event.blockedURI || 'inline'}`);
    });
  });
  const page = await context.newPage();
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => problems.push(`uncaught: ${error.message}`));
  page.on('requestfailed', (request) => problems.push(`failed: ${request.url()} ${request.failure()?.errorText}`));
  page.on('response', (response) => {
    if (response.status() >= 400) problems.push(`answered ${response.status()}: ${response.url()}`);
  });
  return { page, problems };
}

/** Lets everything happen that is due, by many turns of the page's event loop. */
export async function letPageRun(page) {
  await page.evaluate(async () => {
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  });
}
