// Who is let in, for how long, and what is left afterwards.
'use strict';

const assert = require('node:assert/strict');
const { run } = require('./browser');
const { createKey, isAt, logIn, signUp, tokenOf, PASSWORD } = require('./merchant');

const KEYS = '/dashboard/settings/api-keys';

/** The page as it is once it does not lead on to another one. */
async function contentOf(page) {
  for (;;) {
    await page.waitForLoadState('networkidle');
    try {
      return await page.content();
    } catch {
      // It has led on meanwhile.
    }
  }
}

run({
  async 'a wrong password is refused without a word about which of the two is wrong'({ base, open }) {
    const username = await signUp(await open(), base);
    const page = await open();
    await page.goto(base + KEYS);
    await isAt(page, 'Log in');
    const told = [];
    for (const [name, password] of [[username, 'wrong'], ['nobody-at-all', PASSWORD]]) {
      await logIn(page, name, password);
      told.push(await page.getByRole('alert').innerText());
      assert.equal(await page.getByLabel('Password').inputValue(), '');
    }
    assert.equal(told[0], told[1]);
    await logIn(page, username);
    await isAt(page, 'API keys');
  },

  async 'a session that was ended elsewhere leads to the login and back'({ base, open }) {
    const page = await open();
    const username = await signUp(page, base);
    const authorization = `Bearer ${await tokenOf(base, username)}`;
    const ended = await fetch(`${base}/api/auth/sessions`, { method: 'DELETE', headers: { authorization } });
    assert.equal(ended.status, 200);
    await page.goto(base + KEYS);
    await isAt(page, 'Log in');
    await logIn(page, username);
    await isAt(page, 'API keys');
  },

  async 'after the log-out the back button shows nothing'({ base, open }) {
    const page = await open();
    await signUp(page, base);
    const key = await createKey(page, base);
    await page.getByRole('link', { name: 'API keys' }).click();
    await isAt(page, 'API keys');
    await page.getByRole('button', { name: 'Log out' }).click();
    await isAt(page, 'Log in');
    for (let step = 0; step < 4; step += 1) {
      await page.goBack().catch(() => {});
      assert.equal((await contentOf(page)).includes(key), false);
      assert.equal(await page.getByRole('heading', { name: 'API keys' }).count(), 0);
    }
  },

  async 'a form of a tab that was open before another login is refused, and the way on is told'({ base, open }) {
    const first = await open();
    const username = await signUp(first, base);
    await first.goto(`${base}${KEYS}/new`);
    await first.getByLabel('Name', { exact: true }).fill('stale');
    await first.getByLabel('Read Only', { exact: true }).check();
    const second = await first.context().newPage();
    await second.goto(`${base}/dashboard`);
    await second.getByRole('button', { name: 'Log out' }).click();
    await logIn(second, username);
    await isAt(second, 'Overview');
    await first.getByRole('button', { name: 'Create key' }).click();
    await isAt(first, 'The page was out of date');
    await second.goto(base + KEYS);
    await second.getByText('There are no keys').waitFor();
    await first.getByRole('link', { name: 'Go on' }).click();
    await isAt(first, 'Create New Key');
  },

  async 'a login leads to no other host'({ base, open }) {
    const page = await open();
    const username = await signUp(await open(), base);
    for (const next of ['https://evil.example/', '//evil.example/', '/\\evil.example/', '/dashboard/../..//evil.example']) {
      await page.context().clearCookies();
      await page.goto(`${base}/dashboard/login?next=${encodeURIComponent(next)}`);
      await logIn(page, username);
      await page.getByRole('button', { name: 'Log out' }).waitFor();
      assert.equal(new URL(page.url()).origin, base, next);
    }
  },
});
