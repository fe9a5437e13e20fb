// The life of a key, as a merchant leads it.
'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { run } = require('./browser');
const { createKey, curl, isAt, shownKey, signUp } = require('./merchant');

const KEYS = '/dashboard/settings/api-keys';

run({
  async 'a key is made, copied, used, rotated and revoked'({ base, open }) {
    const page = await open({ permissions: ['clipboard-read', 'clipboard-write'] });
    await signUp(page, base);
    const old = await createKey(page, base, 'till', ['Read Only', 'Create Payments']);
    await page.getByRole('button', { name: 'Copy' }).first().click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), old);
    const pasted = await page.locator('#curl').innerText();
    const { stdout } = spawnSync('sh', ['-c', pasted], { encoding: 'utf8' });
    const verified = JSON.parse(stdout);
    assert.deepEqual(verified.user.permissions, ['read', 'create_payments']);
    assert.equal(verified.credential.name, 'till');

    await page.goto(`${base}/dashboard`);
    await page.getByRole('img', { name: 'till: requests of the last 14 days' }).waitFor();
    await page.getByText('1 request, 0 refused', { exact: true }).waitFor();

    await page.goto(base + KEYS);
    assert.equal((await page.content()).includes(old.slice(12)), false, 'the key is seen again');

    await page.getByRole('link', { name: /^Rotate/ }).first().click();
    await page.getByRole('button', { name: /^Rotate/ }).click();
    const successor = await shownKey(page);
    assert.notEqual(successor, old);
    assert.deepEqual([curl(base, old), curl(base, successor)], [200, 200]);

    for (const key of [successor, old]) {
      await page.goto(base + KEYS);
      const row = page.getByRole('listitem').filter({ hasText: `${key.slice(0, 12)}…` });
      await row.getByRole('link', { name: /^Revoke/ }).click();
      await page.getByRole('button', { name: /^Revoke/ }).click();
      await isAt(page, 'API keys');
      assert.equal(curl(base, key), 401);
    }
  },
});
