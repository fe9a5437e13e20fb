// Every page in both colour schemes is usable with a screen reader; the first one is light.
'use strict';

const assert = require('node:assert/strict');
const axe = require('axe-core');
const { run } = require('./browser');
const { visitAll } = require('./pages');

/** The first page with everything it loads, in bytes. */
const FIRST_PAGE = 50 * 1024;

async function violations(page, name) {
  await page.evaluate(axe.source);
  const { violations: found } = await page.evaluate(() => axe.run());
  return found.map(({ id, nodes }) => `${name}: ${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

function looks(colorScheme) {
  return async ({ base, open }) => {
    const page = await open({ colorScheme, reducedMotion: 'reduce' });
    const backgrounds = new Set();
    const found = [];
    await visitAll(page, base, async (name) => {
      found.push(...(await violations(page, name)));
      const isTooWide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      if (isTooWide) found.push(`${name}: is wider than the window`);
      backgrounds.add(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
    });
    assert.deepEqual(found, []);
    assert.equal(backgrounds.size, 1);
    const [red] = [...backgrounds][0].match(/\d+/g).map(Number);
    assert.equal(red > 127, colorScheme === 'light', `${[...backgrounds]} in ${colorScheme}`);
  };
}

run({
  'no violation in the light': looks('light'),
  'no violation in the dark': looks('dark'),

  async 'the first page is light'({ base, open }) {
    const page = await open();
    const sizes = [];
    page.context().on('requestfinished', (request) => sizes.push(request.sizes()));
    await page.goto(`${base}/dashboard/login`, { waitUntil: 'networkidle' });
    const loaded = await Promise.all(sizes);
    const bytes = loaded.reduce((sum, size) => sum + size.responseHeadersSize + size.responseBodySize, 0);
    assert.equal(loaded.length >= 3, true, 'page, style and script');
    assert.equal(bytes <= FIRST_PAGE, true, `${bytes} bytes`);
    console.log(`${bytes} bytes`);
  },
});
