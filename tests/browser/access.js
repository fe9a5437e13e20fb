// Everyone gets along: without JavaScript, on a phone.
'use strict';

const assert = require('node:assert/strict');
const { PHONE, run } = require('./browser');
const { addEndpoint, createKey, curl, isAt, makeOrder, shownSecret, signUp } = require('./merchant');
const { startReceiver } = require('./receiver');

const KEYS = '/dashboard/settings/api-keys';
const WEBHOOKS = '/dashboard/settings/webhooks';
const ORDERS = '/dashboard/payment-orders';
/** As long as they may be. */
const HARD_WORDS = { amount: '123456789012345678.123456789012345678', description: 'W'.repeat(500), metadata: { ['k'.repeat(100)]: 'v'.repeat(1000) } };

run({
  async 'everything works without JavaScript'({ base, open }) {
    const page = await open({ javaScriptEnabled: false });
    const username = await signUp(page, base);
    const key = await createKey(page, base);
    assert.equal(curl(base, key), 200);
    assert.equal(await page.getByRole('button', { name: 'Copy' }).count(), 0, 'a button that does nothing');

    const receiver = await startReceiver();
    await addEndpoint(page, base, receiver.url('/hook'), 'two\nlines');
    await shownSecret(page);
    await page.getByRole('link', { name: 'I have copied it' }).click();
    await page.getByRole('button', { name: 'Send test' }).click();
    while (!(await page.getByRole('status').filter({ hasText: 'Delivered' }).count())) {
      await page.getByRole('link', { name: 'Look again' }).click({ timeout: 1000 }).catch(() => page.reload());
    }
    receiver.end();
    await makeOrder(base, username, HARD_WORDS);
    await page.getByRole('link', { name: 'Payment orders' }).click();
    await page.getByRole('link', { name: 'USD' }).click();
    await page.getByRole('button', { name: 'Let it expire' }).click();
    await page.getByRole('heading', { name: 'Order expired' }).waitFor();
    await page.getByRole('button', { name: 'Log out' }).click();
    await isAt(page, 'Log in');
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
    const username = await signUp(page, base);
    await widest();
    await createKey(page, base, 'W'.repeat(100), ['Read Only', 'Create Payments', 'Manage Webhooks', 'Full Access']);
    await widest();
    const receiver = await startReceiver(() => ({ status: 500, body: 'x'.repeat(2000) }));
    await addEndpoint(page, base, receiver.url(`/${'w'.repeat(300)}`), 'W'.repeat(500));
    await widest();
    await makeOrder(base, username, HARD_WORDS);
    for (const [path, link] of [[WEBHOOKS, receiver.url('')], [ORDERS, 'USD']]) {
      await page.goto(base + path);
      await widest();
      await page.getByRole('main').getByRole('link', { name: link }).first().click();
      await page.getByRole('heading', { level: 1, name: link }).waitFor();
      await widest();
    }
    await page.getByRole('article').getByRole('link', { name: receiver.url('') }).click();
    await page.getByRole('heading', { name: 'Attempt 1' }).waitFor();
    await widest();
    await page.getByRole('link', { name: /^Deliveries to/ }).click();
    await isAt(page, 'Deliveries');
    await widest();
    receiver.end();
    for (const path of [KEYS, `${KEYS}/new`, `${WEBHOOKS}/new`, '/dashboard/settings/security', '/dashboard', '/dashboard/nothing']) {
      await page.goto(base + path);
      await widest();
    }
  },
});
