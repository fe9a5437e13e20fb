// What other sites try, and what merchants type.
'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const { run } = require('./browser');
const { addEndpoint, createKey, isAt, signUp } = require('./merchant');
const { startReceiver } = require('./receiver');

const KEYS = '/dashboard/settings/api-keys';

/** A site of somebody else's, on another port and under another name of this machine. */
async function otherSite(html) {
  const server = http.createServer((request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end(html);
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  return { url: `http://localhost:${server.address().port}`, end: () => server.close() };
}

run({
  async 'no page can be framed'({ base, open, problems }) {
    const page = await open();
    await signUp(page, base);
    const paths = ['/dashboard', KEYS, '/dashboard/login'];
    const site = await otherSite(paths.map((path) => `<iframe src="${base}${path}"></iframe>`).join(''));
    await page.goto(site.url);
    await page.waitForLoadState('networkidle');
    for (const frame of page.frames().slice(1)) {
      assert.equal(await frame.getByText('CryptoPay').count(), 0, frame.url());
    }
    site.end();
    // The other site itself, and what the browser says of the frames.
    const refused = problems.filter((problem) => problem.includes('frame-ancestors') || problem.includes('X-Frame-Options'));
    assert.equal(refused.length >= paths.length, true, problems.join('\n'));
    problems.length = 0;
  },

  async 'no other site can have a key made'({ base, open, problems }) {
    const page = await open();
    await signUp(page, base);
    const forged = `<form method="post" action="${base}${KEYS}/new">
      <input name="csrf" value="guess"><input name="name" value="forged"><input name="permissions" value="full_access">
      <input name="expiry" value="never"></form><script>document.forms[0].submit()</script>`;
    const site = await otherSite(forged);
    await page.goto(site.url);
    await page.waitForURL(`${base}/**`);
    await isAt(page, /./);
    assert.equal(await page.getByText('Copy it now').count(), 0);
    site.end();
    assert.deepEqual(problems.splice(0), [`a request to ${site.url}/`]);
    await page.goto(base + KEYS);
    await page.getByText('There are no keys').waitFor();
  },

  async 'what a merchant types is shown and never run'({ base, open }) {
    const page = await open();
    await signUp(page, base);
    for (const name of ['<img src=x onerror=document.title="run">', '"><script>document.title="run"</script>', "';alert(1)//{{7*7}}"]) {
      await createKey(page, base, name);
      await page.goto(base + KEYS);
      await page.getByRole('heading', { name, exact: true }).waitFor();
      assert.equal((await page.title()).includes('run'), false);
    }
    const hostile = '"><script>document.title="run"</script><img src=x onerror=document.title="run">';
    const receiver = await startReceiver(() => ({ status: 200, body: hostile }));
    await addEndpoint(page, base, receiver.url(`/${hostile.replaceAll(' ', '/')}`), hostile);
    await page.getByRole('link', { name: 'I have copied it' }).click();
    await page.getByRole('button', { name: 'Send test' }).click();
    await page.getByRole('heading', { name: 'Attempt 1' }).waitFor();
    await page.getByText(hostile, { exact: true }).waitFor();
    assert.equal((await page.title()).includes('run'), false, 'an answer that the script has put there');
    receiver.end();
    page.on('dialog', () => assert.fail('a script ran'));
    for (const path of ['/dashboard/login?next="><script>alert(1)</script>', `${KEYS}?cursor=<svg onload=alert(1)>`]) {
      await page.goto(base + path);
    }
  },
});
