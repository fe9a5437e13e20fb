// Pictures of every page in both colour schemes, into the directory that the second argument names.
'use strict';

const path = require('node:path');
const { run } = require('./browser');
const { visitAll } = require('./pages');

const directory = process.argv[3];

const pictures = (colorScheme) => async ({ base, open }) => {
  const page = await open({ colorScheme, reducedMotion: 'reduce', viewport: { width: 960, height: 640 } });
  await visitAll(page, base, async (name) => {
    // What is another one each time would make every picture a new one.
    await page.evaluate(() => {
      document.querySelectorAll('#key, pre code').forEach((element) => {
        element.textContent = element.textContent.replace(/cp_test_\w+/, `cp_test_${'x'.repeat(49)}`);
      });
      document.querySelectorAll('code').forEach((element) => {
        element.textContent = element.textContent.replace(/cp_test_\w{4}…/, 'cp_test_xxxx…');
      });
      document.querySelectorAll('.who .name').forEach((element) => (element.textContent = 'your-username'));
    });
    await page.screenshot({ path: path.join(directory, `${name}-${colorScheme}.png`), fullPage: true });
  });
};

run({ 'in the light': pictures('light'), 'in the dark': pictures('dark') });
