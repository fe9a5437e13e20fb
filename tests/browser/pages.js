// Every page there is, with something on it.
'use strict';

const { addEndpoint, createKey, isAt, makeOrder, signUp } = require('./merchant');
const { startReceiver } = require('./receiver');

/** Visits all pages in a row and calls `each` with the name of every one of them while it is open. */
exports.visitAll = async function (page, base, each) {
  const at = async (name, path) => {
    await page.goto(base + path);
    await each(name);
  };
  await at('login', '/dashboard/login');
  await at('register', '/dashboard/register');
  await page.getByRole('button', { name: 'Sign up' }).evaluate((button) => (button.form.noValidate = true));
  await page.getByRole('button', { name: 'Sign up' }).click();
  await page.getByRole('alert').waitFor();
  await each('register-problems');
  const username = await signUp(page, base);
  await each('first-steps');
  await at('api-keys-empty', '/dashboard/settings/api-keys');
  await at('api-key-new', '/dashboard/settings/api-keys/new');
  const key = await createKey(page, base, 'Web shop', ['Read Only', 'Create Payments']);
  await each('api-key-created');
  for (const asked of ['read', 'create_payments', 'read', 'manage_webhooks', 'read']) {
    await fetch(`${base}/api/auth/verify?permission=${asked}`, { headers: { authorization: `Bearer ${key}` } });
  }
  await createKey(page, base, 'Accounting', ['Read Only']);
  await at('api-keys', '/dashboard/settings/api-keys');
  await page.getByRole('link', { name: 'Web shop', exact: true }).click();
  await page.getByRole('heading', { level: 1, name: 'Web shop' }).waitFor();
  await each('api-key');
  await page.getByRole('link', { name: 'Revoke key' }).click();
  await page.getByRole('heading', { level: 1, name: 'Revoke this key?' }).waitFor();
  await each('api-key-revoke');

  await at('payment-orders-empty', '/dashboard/payment-orders');
  await at('webhooks-empty', '/dashboard/settings/webhooks');
  await at('webhook-new', '/dashboard/settings/webhooks/new');
  await page.getByLabel('URL', { exact: true }).fill('ftp://shop.example/');
  await page.getByLabel('Only these').check();
  await page.getByRole('button', { name: 'Add endpoint' }).evaluate((button) => (button.form.noValidate = true));
  await page.getByRole('button', { name: 'Add endpoint' }).click();
  await page.getByRole('alert').waitFor();
  await each('webhook-problems');
  const failing = await startReceiver(() => ({ status: 500, body: 'Internal Server Error' }));
  await addEndpoint(page, base, failing.url('/webhooks/accounting'), 'Accounting');
  const receiver = await startReceiver();
  await addEndpoint(page, base, receiver.url('/webhooks/cryptopay'), 'Order service');
  await each('webhook-secret');
  const metadata = { cart: 'c-000117', customer: 'jörg@example.com' };
  await makeOrder(base, username, { amount: '0.0125', currency: 'BTC' });
  await makeOrder(base, username, { amount: '49.90', description: 'Two tickets, row 7', metadata });
  await at('payment-orders', '/dashboard/payment-orders');
  await page.getByRole('link', { name: '49.90 USD' }).click();
  await isAt(page, '49.90 USD');
  await page.getByText('Delivered').waitFor();
  await page.getByText('answered 500').waitFor();
  await each('payment-order');
  await page.getByRole('button', { name: 'Let it be paid' }).click();
  const paid = page.getByRole('article').filter({ hasText: 'payment_order.paid' });
  await paid.getByText('Delivered').waitFor();
  await paid.getByText('answered 500').waitFor();
  await page.reload();
  await each('payment-order-paid');
  await paid.getByRole('link', { name: failing.url('/') }).click();
  await page.getByRole('heading', { name: 'Attempt 1' }).waitFor();
  await page.reload();
  await each('delivery-failed');
  await at('webhooks', '/dashboard/settings/webhooks');
  await page.getByRole('link', { name: receiver.url('/webhooks/cryptopay'), exact: true }).click();
  await isAt(page, receiver.url('/webhooks/cryptopay'));
  await page.getByRole('button', { name: 'Send test' }).click();
  await page.getByRole('status').filter({ hasText: 'Delivered' }).waitFor();
  await page.reload();
  await each('delivery');
  await page.getByRole('link', { name: /^Deliveries to/ }).click();
  await isAt(page, 'Deliveries');
  await each('deliveries');
  await page.locator('.back a').click();
  await isAt(page, receiver.url('/webhooks/cryptopay'));
  await each('webhook');
  await page.getByRole('link', { name: 'Delete endpoint' }).click();
  await isAt(page, 'Delete this endpoint?');
  await each('webhook-delete');
  receiver.end();
  failing.end();

  await at('security', '/dashboard/settings/security');
  await at('overview', '/dashboard');
  await page.getByText('Figures of Web shop').click();
  await page.getByRole('columnheader', { name: 'Refused' }).waitFor();
  await each('overview-figures');
  await at('not-found', '/dashboard/nothing');
};
