// Everything goes by the keyboard alone, and what has the focus can be seen.
'use strict';

const assert = require('node:assert/strict');
const { run } = require('./browser');
const { isAt, makeOrder, newName, shownKey, shownSecret, signUp, PASSWORD } = require('./merchant');
const { startReceiver } = require('./receiver');

/** Goes on by the tabulator until what has the focus is called so. */
async function tabTo(page, name) {
  for (let step = 0; step < 40; step += 1) {
    await page.keyboard.press('Tab');
    const focused = await page.evaluate(() => {
      const element = document.activeElement;
      const called = element.labels?.[0]?.textContent ?? element.textContent;
      return { called: called.trim(), outline: getComputedStyle(element).outlineStyle };
    });
    if (focused.called === name) {
      assert.notEqual(focused.outline, 'none', `nobody sees that ${name} has the focus`);
      return;
    }
  }
  assert.fail(`no way to ${name}`);
}

run({
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

  async 'an endpoint is added and tried, and an order moved on, by the keyboard alone'({ base, open }) {
    const page = await open();
    const username = await signUp(page, base);
    const receiver = await startReceiver();
    const press = async (name) => {
      await tabTo(page, name);
      await page.keyboard.press('Enter');
    };
    await press('Webhooks');
    await isAt(page, 'Webhooks');
    await press('Add endpoint');
    await isAt(page, 'Add endpoint');
    await tabTo(page, 'URL');
    await page.keyboard.type(receiver.url('/hook'));
    await tabTo(page, 'All events');
    await page.keyboard.press('ArrowDown');
    await tabTo(page, 'Order paid');
    await page.keyboard.press('Space');
    await press('Add endpoint');
    await isAt(page, 'Your webhook secret');
    await shownSecret(page);
    await press('I have copied it');
    await isAt(page, receiver.url('/hook'));
    assert.equal(await page.getByLabel('Order paid', { exact: true }).isChecked(), true);
    await press('Send test');
    await page.getByRole('status').filter({ hasText: 'Delivered' }).waitFor();
    await press('Send again');
    await page.getByRole('heading', { name: 'Attempt 2' }).waitFor();

    await makeOrder(base, username, { amount: '49.90' });
    await press('Payment orders');
    await isAt(page, 'Payment orders');
    await press('49.90 USD');
    await isAt(page, '49.90 USD');
    await press('Let it be paid');
    await page.getByRole('article').filter({ hasText: 'payment_order.paid' }).getByText('Delivered').waitFor();
    receiver.end();
  },
});
