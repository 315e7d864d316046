// Signs in as a person does, where everybody is asked for a token.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { axePath, run, startBrowser, startDemo, until } from './demo.mjs';

let server, browser, axe;
const create = (name, scope) => run('token', 'create', '--data-dir', server.dir, '--name', name, '--scope', scope);

before(async () => {
  [server, browser, axe] = await Promise.all([
    startDemo('serve', { THROUGHLINE_AUTH_MODE: 'local' }), startBrowser(), readFile(axePath, 'utf8')]);
}, { timeout: 120_000 });

after(async () => {
  await browser?.close();
  await server?.stop();
}, { timeout: 60_000 });

async function signIn(page, token) {
  await page.fill('#token', token);
  await Promise.all([page.waitForEvent('load'), page.click('button.primary')]);
}

describe('with tokens', { timeout: 120_000 }, () => {
  test('a page leads to the login, and the login to the page', async () => {
    const page = await browser.newPage();
    const sockets = [];
    page.on('websocket', (socket) => sockets.push(socket));
    await page.goto(`${server.url}/alerts`);
    assert.equal(new URL(page.url()).pathname, '/login');
    await signIn(page, 'tl_wrong');
    assert.match(await page.textContent('#login-fault'), /not known/);
    await signIn(page, await create('sender', 'ingest'));
    assert.match(await page.textContent('#login-fault'), /sending signals only/);
    await signIn(page, await create('anna', 'read'));
    assert.equal(page.url(), `${server.url}/alerts`);
    assert.equal(await page.evaluate(() => document.cookie), '', 'scripts see no cookie');
    await until('the page is live', 10, () => sockets.length > 0 && !sockets[0].isClosed());
    await run('token', 'revoke', '--data-dir', server.dir, 'anna');
    await until('the socket ends with its token', 10, () => sockets[0].isClosed());
    await page.goto(server.url);
    assert.equal(new URL(page.url()).pathname, '/login');
    await page.close();
  });

  test('signing out ends the session of the browser', async () => {
    const page = await browser.newPage();
    await page.goto(`${server.url}/login`);
    await signIn(page, await create('bert', 'operate'));
    await page.goto(`${server.url}/login`);
    assert.match(await page.textContent('main'), /signed in as bert/);
    await Promise.all([page.waitForEvent('load'), page.click('form[action="/logout"] button')]);
    assert.doesNotMatch(await page.textContent('main'), /signed in as/);
    await page.goto(server.url);
    assert.equal(new URL(page.url()).pathname, '/login');
    await page.close();
  });

  for (const [look, options] of Object.entries({
    light: { colorScheme: 'light' }, 'dark, on a phone': { colorScheme: 'dark', viewport: { width: 390, height: 844 } },
  })) {
    test(`the login page is accessible: ${look}`, async () => {
      const context = await browser.newContext(options);
      const page = await context.newPage();
      await page.goto(`${server.url}/login`);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run());
      assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`), []);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${wide} px too wide`);
      await context.close();
    });
  }
});
