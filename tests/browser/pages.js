// Every page there is, with something on it.
'use strict';

const { createKey, signUp } = require('./merchant');

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
  await signUp(page, base);
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
  await at('security', '/dashboard/settings/security');
  await at('overview', '/dashboard');
  await page.getByText('Figures of Web shop').click();
  await page.getByRole('columnheader', { name: 'Refused' }).waitFor();
  await each('overview-figures');
  await at('not-found', '/dashboard/nothing');
};
