// Everyone gets along: without JavaScript, without a mouse, on a phone.
'use strict';

const assert = require('node:assert/strict');
const { PHONE, run } = require('./browser');
const { createKey, curl, isAt, newName, shownKey, signUp, PASSWORD } = require('./merchant');

const KEYS = '/dashboard/settings/api-keys';

/** Goes on by the tabulator until what has the focus is called so. */
async function tabTo(page, name) {
  for (let step = 0; step < 40; step += 1) {
    await page.keyboard.press('Tab');
    const focused = page.locator(':focus');
    const called = await focused.evaluate(
      (element) => element.labels?.[0]?.textContent ?? element.textContent, null, { timeout: 1000 },
    ).catch(() => '');
    if (called.trim() === name) {
      const outline = await focused.evaluate((element) => getComputedStyle(element).outlineStyle);
      assert.notEqual(outline, 'none', `nobody sees that ${name} has the focus`);
      return;
    }
  }
  assert.fail(`no way to ${name}`);
}

run({
  async 'everything works without JavaScript'({ base, open }) {
    const page = await open({ javaScriptEnabled: false });
    await signUp(page, base);
    const key = await createKey(page, base);
    assert.equal(curl(base, key), 200);
    assert.equal(await page.getByRole('button', { name: 'Copy' }).count(), 0, 'a button that does nothing');
    await page.getByRole('button', { name: 'Log out' }).click();
    await isAt(page, 'Log in');
  },

  async 'a key is made by the keyboard alone'({ base, open }) {
    const page = await open();
    const username = newName();
    await page.goto(`${base}/dashboard/register`);
    const values = [['Name of your shop', 'Test Shop'], ['E-mail address', `${username}@example.com`], ['Username', username], ['Password', PASSWORD]];
    for (const [label, value] of values) {
      await tabTo(page, label);
      await page.keyboard.type(value);
    }
    await page.keyboard.press('Enter');
    await isAt(page, 'Overview');
    await page.keyboard.press('Tab');
    assert.equal(await page.locator(':focus').innerText(), 'Skip to the content');
    await page.keyboard.press('Enter');
    await tabTo(page, 'Create an API key');
    await page.keyboard.press('Enter');
    await isAt(page, 'Create New Key');
    await tabTo(page, 'Name');
    await page.keyboard.type('keyboard');
    await tabTo(page, 'Read Only');
    await page.keyboard.press('Space');
    await tabTo(page, 'Create key');
    await page.keyboard.press('Enter');
    await shownKey(page);
  },

  async 'nothing is wider than a phone'({ base, open }) {
    const page = await open(PHONE);
    const widest = async () => {
      const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.equal(content <= screen && screen <= PHONE.viewport.width, true, `${page.url()}: ${content} > ${screen}`);
    };
    await page.goto(`${base}/dashboard/login`);
    await widest();
    await page.goto(`${base}/dashboard/register`);
    await widest();
    await signUp(page, base);
    await widest();
    await createKey(page, base, 'W'.repeat(100), ['Read Only', 'Create Payments', 'Manage Webhooks', 'Full Access']);
    await widest();
    for (const path of [KEYS, `${KEYS}/new`, '/dashboard', '/dashboard/nothing']) {
      await page.goto(base + path);
      await widest();
    }
  },
});
