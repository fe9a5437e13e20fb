// Debian's Chromium without a window, for programs that try one side of the dashboard each.
//
// Every page that is opened is held to what is true of all of them: no request leaves for another host, no script
// fails, and nothing offends the Content-Security-Policy.
'use strict';

const assert = require('node:assert/strict');
const { chromium } = require('playwright-core');

/** How long a program may take before it gives up, in milliseconds. */
const PATIENCE = 100_000;
/** How long one step may take. */
const STEP = 15_000;

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
];

/** A phone, and what is to be seen on it. */
exports.PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };

/**
 * Runs the flows, one after the other, each in a browser profile of its own, against the server that the first argument
 * names. The program ends with 1 at the first that fails, and says where it stood.
 */
exports.run = async function (flows) {
  const base = process.argv[2];
  const deadline = setTimeout(() => {
    console.error(`not done within ${PATIENCE} ms`);
    process.exit(1);
  }, PATIENCE);
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  const browser = await chromium.launch({ executablePath, args: FLAGS });
  let page;
  try {
    for (const [name, flow] of Object.entries(flows)) {
      const began = Date.now();
      const contexts = [];
      const problems = [];
      const open = async (options) => {
        const context = await browser.newContext(options);
        contexts.push(context);
        watch(context, base, problems);
        context.on('page', (opened) => (page = opened));
        return context.newPage();
      };
      await flow({ base, open, problems }).catch(async (error) => {
        error.message = `${name}: ${error.message}`;
        throw error;
      });
      assert.deepEqual(problems, [], name);
      for (const context of contexts) {
        for (const cookie of await context.cookies()) exports.tellSecret(cookie.value);
      }
      await Promise.all(contexts.map((context) => context.close()));
      console.log(`${name}: ${Date.now() - began} ms`);
    }
  } catch (error) {
    console.error(error.stack);
    if (page && !page.isClosed()) {
      console.error(page.url());
      console.error(await page.locator('body').innerText({ timeout: 1000 }).catch(String));
    }
    process.exitCode = 1;
  } finally {
    clearTimeout(deadline);
    await browser.close();
  }
};

/** Tells the test of a secret that no log may hold. */
exports.tellSecret = (secret) => console.log(`secret ${secret}`);

function watch(context, base, problems) {
  context.setDefaultTimeout(STEP);
  context.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== base && protocol !== 'data:') problems.push(`a request to ${request.url()}`);
  });
  context.on('weberror', (error) => problems.push(`a script failed: ${error.error()}`));
  context.on('console', (message) => {
    // That an answer is an error is what some flows are about.
    const isAnswer = message.text().startsWith('Failed to load resource');
    if (message.type() === 'error' && !isAnswer) problems.push(`the console says: ${message.text()}`);
  });
}
