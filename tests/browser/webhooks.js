// Webhooks, from the first endpoint to the delivery that is sent again, and the orders that they tell of.
'use strict';

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { run } = require('./browser');
const { addEndpoint, createKey, isAt, logIn, shownSecret, signUp, tokenOf } = require('./merchant');
const { freePort, startReceiver } = require('./receiver');

const WEBHOOKS = '/dashboard/settings/webhooks';
const ORDERS = '/dashboard/payment-orders';

/** Saves a program as its merchant would, runs the command, and waits until it listens. */
async function start(name, program, command) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'cryptopay-receiver-'));
  fs.writeFileSync(path.join(directory, name), program);
  const child = spawn('sh', ['-c', `exec env ${command}`], { cwd: directory, stdio: ['ignore', 'pipe', 'inherit'] });
  process.on('exit', () => child.kill());
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const says = async () => (await lines.next()).value;
  assert.equal(await says(), 'listening', name);
  const end = () => {
    child.kill();
    fs.rmSync(directory, { recursive: true });
  };
  return { says, end };
}

/** Waits until the page says where the delivery stands, without being loaded anew. */
async function stands(page, words) {
  await page.getByRole('status').filter({ hasText: words }).waitFor();
}

run({
  async 'the programs that the page shows take what is sent and nothing that was forged'({ base, open }) {
    const page = await open({ permissions: ['clipboard-read', 'clipboard-write'] });
    await signUp(page, base);
    for (const [id, name] of [['express', 'express.js'], ['python', 'plain.py']]) {
      const url = `http://127.0.0.1:${await freePort()}/hooks/of_shop`;
      await addEndpoint(page, base, url);
      const secret = await shownSecret(page);
      await page.getByRole('button', { name: 'Copy' }).first().click();
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
      const program = await page.locator(`#${id}`).textContent();
      const commands = (await page.locator(`#run-${id}`).textContent()).split('\n');
      assert.equal(commands.at(-1).startsWith(`WEBHOOK_SECRET='${secret}' PORT=`), true, commands.at(-1));
      const receiver = await start(name, program, commands.at(-1));
      await page.getByRole('link', { name: 'I have copied it' }).click();
      await isAt(page, url);
      assert.equal((await page.content()).includes(secret), false, 'the secret is seen again');

      await page.getByRole('button', { name: 'Send test' }).click();
      await isAt(page, 'Test');
      await page.evaluate(() => (window.isStillHere = true));
      await stands(page, 'Delivered');
      assert.equal(await page.evaluate(() => window.isStillHere), true, 'the page was loaded anew');
      const event = await page.locator('#body').textContent();
      assert.equal(await receiver.says(), `webhook.test ${JSON.parse(event).id}`, 'the signature is right');
      const forged = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-webhook-signature': '0'.repeat(64) },
        body: event,
      });
      assert.equal(forged.status, 401);

      await page.getByRole('button', { name: 'Send again' }).click();
      await page.getByRole('heading', { name: 'Attempt 2' }).waitFor();
      await stands(page, 'Delivered');
      assert.equal(await receiver.says(), `webhook.test ${JSON.parse(event).id}`, 'the same event');
      receiver.end();
    }
  },

  async 'a delivery that takes its time is told when it has arrived'({ base, open }) {
    const page = await open();
    await signUp(page, base);
    let release;
    const released = new Promise((resolve) => (release = resolve));
    const receiver = await startReceiver(() => released.then(() => ({ status: 200, body: '<b>thanks</b>' })));
    await addEndpoint(page, base, receiver.url('/slow'));
    await page.getByRole('link', { name: 'I have copied it' }).click();
    await page.getByRole('button', { name: 'Send test' }).click();
    await stands(page, 'Pending');
    await page.evaluate(() => (window.isStillHere = true));
    const asked = page.waitForResponse((response) => response.request().resourceType() === 'fetch');
    assert.equal((await asked).status(), 200);
    await stands(page, 'Pending');
    release();
    await stands(page, 'Delivered');
    await page.getByText('<b>thanks</b>').waitFor();
    assert.equal(await page.evaluate(() => window.isStillHere), true);
    // It is told everything, so nothing more is asked.
    const asks = [];
    page.on('request', (request) => asks.push(request.url()));
    await page.waitForTimeout(2500);
    assert.deepEqual(asks, []);
    receiver.end();
  },

  async 'a session that ends while a page waits asks no more and leads to the login and back'({ base, open }) {
    const page = await open();
    const username = await signUp(page, base);
    const receiver = await startReceiver(() => new Promise(() => {}));
    await addEndpoint(page, base, receiver.url('/never'));
    await page.getByRole('link', { name: 'I have copied it' }).click();
    await page.getByRole('button', { name: 'Send test' }).click();
    await stands(page, 'Pending');
    const delivery = page.url();
    const authorization = `Bearer ${await tokenOf(base, username)}`;
    const ended = await fetch(`${base}/api/auth/sessions`, { method: 'DELETE', headers: { authorization } });
    assert.equal(ended.status, 200);
    await page.waitForEvent('requestfailed', (request) => request.resourceType() === 'fetch').catch(() => {});
    assert.equal(page.url(), delivery, 'the page stays as it is');
    await page.getByRole('button', { name: 'Send again' }).click();
    await isAt(page, 'Log in');
    await page.getByText('Log in to go on.').waitFor();
    await logIn(page, username);
    await isAt(page, 'Test');
    assert.equal(page.url(), delivery);
    receiver.end();
  },

  async 'an order is made as the page says, let be paid, and told'({ base, open }) {
    const page = await open();
    await signUp(page, base);
    const key = await createKey(page, base, 'shop', ['Create Payments']);
    const receiver = await startReceiver();
    await addEndpoint(page, base, receiver.url('/hook'));
    await page.goto(base + ORDERS);
    const command = (await page.locator('#curl').textContent()).replace('YOUR_API_KEY', key);
    const { stdout } = spawnSync('sh', ['-c', command.replace('curl ', 'curl -sS ')], { encoding: 'utf8' });
    assert.equal(JSON.parse(stdout).status, 'pending');
    await page.reload();
    await page.getByRole('link', { name: '49.90 USD' }).click();
    await page.getByText('My first order').waitFor();
    await page.getByRole('button', { name: 'Let it be paid' }).click();
    await page.getByText('The order has moved on').waitFor();
    const told = page.getByRole('article').filter({ hasText: 'payment_order.paid' });
    await told.getByText('Delivered').waitFor();
    assert.equal(receiver.received, 2);
    await told.getByRole('link', { name: receiver.url('/hook') }).click();
    await isAt(page, 'Order paid');
    await page.goBack();
    await page.getByRole('button', { name: 'Log out' }).click();
    await isAt(page, 'Log in');
    await page.goBack();
    await isAt(page, 'Log in');
    receiver.end();
  },

  async 'an endpoint is changed, its secret rotated, and it is deleted'({ base, open }) {
    const page = await open();
    await signUp(page, base);
    const receiver = await startReceiver();
    await addEndpoint(page, base, receiver.url('/one'));
    const old = await shownSecret(page);
    await page.getByRole('link', { name: 'I have copied it' }).click();
    await page.getByLabel('URL', { exact: true }).fill(receiver.url('/two'));
    await page.getByLabel('Only these').check();
    await page.getByLabel('Order paid', { exact: true }).check();
    await page.getByRole('button', { name: 'Save' }).click();
    await isAt(page, receiver.url('/two'));
    await page.getByRole('button', { name: 'Rotate secret' }).click();
    assert.notEqual(await shownSecret(page), old);
    await page.getByRole('link', { name: 'I have copied it' }).click();
    await page.getByText('The old secret signs, too, until').waitFor();
    await page.getByRole('button', { name: 'Disable' }).click();
    await page.getByRole('button', { name: 'Enable again' }).click();
    await page.getByRole('link', { name: 'Delete endpoint' }).click();
    await page.getByRole('button', { name: 'Delete endpoint' }).click();
    await page.getByText('There are no endpoints').waitFor();
    assert.equal(new URL(page.url()).pathname, WEBHOOKS);
    receiver.end();
  },
});
