// What a merchant does on the pages, by what is written on them.
'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { tellSecret } = require('./browser');

exports.PASSWORD = 'violet-Tractor-91-moss';

let merchants = 0;

/** A username that nobody has. */
exports.newName = () => `merchant${process.pid}x${(merchants += 1)}`;

/** Signs up, and is then on the overview. */
exports.signUp = async function (page, base, username = exports.newName()) {
  tellSecret(exports.PASSWORD);
  await page.goto(`${base}/dashboard/register`);
  await page.getByLabel('Name of your shop').fill('Test Shop');
  await page.getByLabel('E-mail address').fill(`${username}@example.com`);
  await page.getByLabel('Username').fill(username);
  await page.getByLabel('Password').fill(exports.PASSWORD);
  await page.getByRole('button', { name: 'Sign up' }).click();
  await exports.isAt(page, 'Overview');
  return username;
};

/** Logs in on the page that asks for it. */
exports.logIn = async function (page, username, password = exports.PASSWORD) {
  await page.getByLabel('Username or e-mail address').fill(username);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
};

/** Makes a key with these permissions, by their labels, and gives it; the page that shows it is open then. */
exports.createKey = async function (page, base, name = 'till', permissions = ['Read Only']) {
  await page.goto(`${base}/dashboard/settings/api-keys`);
  await page.getByRole('link', { name: 'Create New Key' }).click();
  await page.getByLabel('Name', { exact: true }).fill(name);
  for (const permission of permissions) await page.getByLabel(permission, { exact: true }).check();
  await page.getByRole('button', { name: 'Create key' }).click();
  return exports.shownKey(page);
};

/** The key that the page shows for the only time. */
exports.shownKey = async function (page) {
  const key = await page.locator('#key').innerText();
  assert.match(key, /^cp_test_[0-9A-Za-z]{49}$/);
  tellSecret(key);
  return key;
};

/** Adds an endpoint for all events; the page that shows its secret is open then. */
exports.addEndpoint = async function (page, base, url, description = '') {
  await page.goto(`${base}/dashboard/settings/webhooks`);
  await page.getByRole('link', { name: 'Add endpoint' }).click();
  await page.getByLabel('URL', { exact: true }).fill(url);
  await page.getByLabel('Description').fill(description);
  await page.getByRole('button', { name: 'Add endpoint' }).click();
  await exports.isAt(page, 'Your webhook secret');
};

/** The webhook secret that the page shows for the only time. */
exports.shownSecret = async function (page) {
  const secret = await page.locator('#secret').innerText();
  assert.match(secret, /^whsec_[0-9A-Za-z+/]{43}=$/);
  tellSecret(secret);
  return secret;
};

/** An access token of this merchant's: logs in by the API. */
exports.tokenOf = async function (base, username) {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ username, password: exports.PASSWORD });
  const answer = await fetch(`${base}/api/auth/login`, { method: 'POST', headers, body });
  return (await answer.json()).access;
};

/** Makes an order of US dollars by the API. */
exports.makeOrder = async function (base, username, order) {
  const authorization = `Bearer ${await exports.tokenOf(base, username)}`;
  const headers = { 'content-type': 'application/json', authorization };
  const body = JSON.stringify({ currency: 'USD', ...order });
  const answer = await fetch(`${base}/api/payment-orders`, { method: 'POST', headers, body });
  assert.equal(answer.status, 201);
};

/** Waits for a page with this heading. */
exports.isAt = async function (page, heading) {
  await page.getByRole('heading', { level: 1, name: heading, exact: true }).waitFor();
};

/** What `curl` is answered with this key. */
exports.curl = function (base, key) {
  const header = `Authorization: Bearer ${key}`;
  const url = `${base}/api/auth/verify`;
  const { stdout } = spawnSync('curl', ['-s', '-o', '/dev/null', '-w', '%{http_code}', '-H', header, url]);
  return Number(stdout);
};
