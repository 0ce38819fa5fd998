import axe from 'axe-core';

/** What axe-core finds on the page, one line per element; shadow roots included. */
export async function accessibilityProblems(page) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => window.axe.run(document, { preload: false }));
  return violations.flatMap(({ id, help, nodes }) => nodes.map(({ target }) => `${id}: ${help}: ${target.flat().join(' ')}`));
}
