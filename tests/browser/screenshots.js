// Pictures of every page, into the directory that the second argument names: all in the light, some in the dark, some as
// a phone has them.
'use strict';

const path = require('node:path');
const { PHONE, run } = require('./browser');
const { visitAll } = require('./pages');

const directory = process.argv[3];

const DARK = ['login', 'overview', 'api-keys', 'payment-order', 'webhook', 'webhook-secret', 'delivery', 'security'];
const SMALL = ['overview', 'api-keys', 'payment-orders', 'payment-order', 'webhooks', 'webhook', 'delivery', 'security'];

/** What is another one each time would make every picture a new one. */
const STEADY = [
  ['cp_test_\\w{49}', `cp_test_${'x'.repeat(49)}`],
  ['cp_test_\\w{4}…', 'cp_test_xxxx…'],
  ['whsec_[\\w+/]{43}=', `whsec_${'x'.repeat(43)}=`],
  ['v1,[\\w+/]{43}=', `v1,${'x'.repeat(43)}=`],
  ['\\b[0-9a-f]{64}\\b', '0123456789abcdef'.repeat(4)],
  ['\\b[0-9a-f]{32}\\b', '0193f1b2c3d4700089abcdef01234567'],
  ['merchant\\d+x\\d+', 'your-username'],
  ['127\\.0\\.0\\.1:\\d+', '127.0.0.1:3000'],
  ['PORT=\\d+', 'PORT=3000'],
  ['webhook-timestamp: \\d+', 'webhook-timestamp: 1767355200'],
  ['\\b\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ', '2026-01-02T12:00:00Z'],
  ['\\b\\d{1,2} \\w{3} \\d{4}, \\d\\d:\\d\\d UTC', '2 Jan 2026, 12:00 UTC'],
  ['\\b\\d+ ms\\b', '12 ms'],
  ['\\b[2-9] attempts', '2 attempts'],
];

const pictures = (kind, wanted, options) => async ({ base, open }) => {
  const page = await open({ reducedMotion: 'reduce', viewport: { width: 960, height: 640 }, ...options });
  await visitAll(page, base, async (name) => {
    if (!wanted(name)) return;
    await page.evaluate((steady) => {
      const steadily = (text) => steady.reduce((made, [what, by]) => made.replace(new RegExp(what, 'g'), by), text);
      const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      const shown = [...document.querySelectorAll('input')].map((input) => [input, 'value']);
      while (texts.nextNode()) shown.push([texts.currentNode, 'data']);
      const before = shown.map(([node, property]) => node[property]);
      const show = (all) => shown.forEach(([node, property], place) => (node[property] = all[place]));
      show(before.map(steadily));
      window.showAgain = () => show(before);
    }, STEADY);
    await page.screenshot({ path: path.join(directory, `${name}${kind}.png`), fullPage: true });
    await page.evaluate(() => window.showAgain());
  });
};

run({
  'in the light': pictures('', () => true, { colorScheme: 'light' }),
  'in the dark': pictures('-dark', (name) => DARK.includes(name), { colorScheme: 'dark' }),
  'on a phone': pictures('-phone', (name) => SMALL.includes(name), { colorScheme: 'light', ...PHONE }),
});
