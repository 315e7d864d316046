// Looks at the demo as a person does: in a browser, live, light and dark, on a phone.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { axePath, isLate, shotsFolder, startBrowser, startDemo, until, visit, whileOpen, whole } from './demo.mjs';

let demo, browser, axe, shots, stuck;
const errors = [];

/** A page that remembers what its console complains of. */
async function open(path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, ...options });
  const page = await context.newPage();
  page.on('console', (message) => {
    if (message.type() === 'error' && !isLate(message.text())) errors.push(`${page.url()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => errors.push(`${page.url()}: ${error.stack}`));
  const response = await visit(page, demo.url + path);
  return { page, status: response.status(), close: () => context.close() };
}

async function api(path) {
  const response = await fetch(demo.url + path);
  assert.equal(response.status, 200, `${path}: ${response.status}`);
  return response.json();
}

/** The first stuck instance of any flow, as the API tells it. */
async function findStuck() {
  for (const { flow } of (await api('/api/v1/flows')).flows) {
    const { instances } = await api(`/api/v1/flows/${flow}/instances?state=stuck&limit=1`);
    if (instances.length > 0) return instances[0];
  }
  return null;
}

before(async () => {
  [demo, browser, axe, shots] = await Promise.all([startDemo(), startBrowser(), readFile(axePath, 'utf8'), shotsFolder()]);
}, { timeout: 120_000 });

after(async () => {
  await browser?.close();
  await demo?.stop();
}, { timeout: 60_000 });

describe('the demo', { timeout: 900_000 }, () => {
  test('moves within ten seconds, in three flows', async () => {
    const { flows } = await until('three flows in flight', 10, async () => {
      const answer = await api('/api/v1/flows');
      return answer.flows.filter((f) => f.in_flight > 0).length >= 3 && answer;
    });
    assert.ok(flows.length >= 3);
  });

  test('is live: a number changes without a reload', async () => {
    const { page, close } = await open('/');
    await page.evaluate(() => { window.sameDocument = true; });
    const numbers = () => page.evaluate(() => document.querySelector('main').innerText.replace(/\d+:\d+(:\d+)?/g, ''));
    const first = await numbers();
    assert.match(first, /\d/);
    await until('a number of the overview changes', 20, async () => (await numbers()) !== first);
    assert.equal(await page.evaluate(() => window.sameDocument), true, 'the page was loaded anew');
    await close();
  });

  test('is complete without JavaScript', async () => {
    const { page, status, close } = await open('/', { javaScriptEnabled: false });
    assert.equal(status, 200);
    for (const { flow } of (await api('/api/v1/flows')).flows) {
      assert.ok(await page.locator(`main a[href^="/flows/${flow}"]`).count() > 0, `no link to ${flow}`);
    }
    await close();
  });

  test('leads from the overview to a stuck instance and its timeline', async () => {
    stuck = await until('an instance is stuck', 120, findStuck);
    const { page, close } = await open('/');
    await page.locator(`main a[href^="/flows/${stuck.flow}"]`).first().click();
    await page.waitForURL(`**/flows/${stuck.flow}**`);
    assert.ok(await page.locator('h1').innerText());
    const step = stuck.reason_step || stuck.waiting_on[0].step;
    await page.locator(`main a[href^="/flows/${stuck.flow}/steps/${step}"]:visible`).first().click();
    await page.waitForURL(`**/flows/${stuck.flow}/steps/${step}**`);
    const instance = page.locator(`main a[href^="/instances/${stuck.flow}/"]:visible`).first();
    const key = decodeURIComponent((await instance.getAttribute('href')).split('?')[0].split('/').pop());
    await instance.click();
    await page.waitForURL('**/instances/**');
    await until(`the page names ${key} and its signals`, 10, async () => {
      const detail = await api(`/api/v1/flows/${stuck.flow}/instances/${encodeURIComponent(key)}`);
      const text = await page.locator('main').innerText();
      return detail.signals.length > 0 && [key, ...detail.signals.map((s) => s.name)].every((word) => text.includes(word));
    });
    await close();
  });

  test('keeps focus and scroll while it is live', async () => {
    const { page, close } = await open(`/flows/${stuck.flow}`, { viewport: { width: 1000, height: 500 } });
    const link = page.locator('main a[href*="/steps/"]:visible').first();
    await link.focus();
    await page.evaluate(() => window.scrollTo(0, 120));
    const before = await page.locator('main').innerText();
    const href = await link.getAttribute('href');
    await until('the page changes', 20, async () => (await page.locator('main').innerText()) !== before);
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute('href')), href);
    assert.equal(await page.evaluate(() => Math.round(window.scrollY)), 120);
    await close();
  });

  test('finds by key, and names what there is where nothing is', async () => {
    const { page, close } = await open(`/search?q=${encodeURIComponent(stuck.key)}`);
    assert.ok(await page.locator(`main a[href^="/instances/${stuck.flow}/"]`).count() > 0);
    await close();
    for (const path of ['/flows/no-such-flow', `/instances/${stuck.flow}/no-such-key`, '/nothing']) {
      const context = await browser.newContext();
      const missing = await context.newPage();
      const response = await missing.goto(demo.url + path);
      assert.equal(response.status(), 404, path);
      assert.ok((await missing.locator('main a').count()) > 0, `${path} leads nowhere`);
      await context.close();
    }
  });

  test('is acknowledged with one key, taken back with Undo, and kept over a reload', async () => {
    let path;
    const there = async () => (await api('/api/v1/alerts')).some((a) => path === `/alerts/${a.fingerprint}`);
    await whileOpen(there, async () => {
      const { page, close } = await open('/alerts');
      await page.locator('.alert form[data-ack]').first().waitFor();
      path = await page.locator('.alert', { has: page.locator('form[data-ack]') }).last().locator('h3 a').getAttribute('href'); // the oldest, which is likely to stay
      const card = page.locator('.alert', { has: page.locator(`h3 a[href="${path}"]`) }); // others may come above it
      const other = await open(path); // somebody else looks at the same alert
      await card.locator('h3 a').focus();
      await page.keyboard.press('a');
      const toast = page.locator('#toast');
      await toast.getByText('Acknowledged by someone on this machine.').waitFor();
      await toast.getByLabel('Your name').fill('Anna Weiß');
      await page.keyboard.press('Enter');
      await toast.getByText('Acknowledged by Anna Weiß.').waitFor();
      await other.page.locator('#alert-oncall').getByText('Anna Weiß').waitFor();
      assert.ok(await other.page.locator('#alert-verdict.acked').count(), 'the sentence is still loud');
      await page.goto(demo.url + path);
      assert.match(await page.locator('#alert-oncall').innerText(), /by Anna Weiß at \d\d:\d\d:\d\d/);
      await page.getByRole('button', { name: 'take back' }).click();
      await page.locator('#alert-oncall').getByText('nobody has it yet').waitFor();
      await page.keyboard.press('a'); // the browser knows the name by now
      await toast.getByText('Acknowledged by Anna Weiß.').waitFor();
      await toast.getByRole('button', { name: 'Undo' }).click();
      await other.page.locator('#alert-oncall').getByText('nobody has it yet').waitFor();
      await other.close();
      await close();
    });
  });

  test('is silenced on a phone without JavaScript, and the end is shown', async () => {
    const { page, close } = await open('/alerts', { viewport: { width: 390, height: 844 }, javaScriptEnabled: false });
    await page.locator('.alert h3 a').first().click();
    await page.waitForURL('**/alerts/*');
    await whole(page);
    const bar = page.getByRole('group', { name: 'Actions' });
    const box = await bar.boundingBox();
    assert.ok(box.y > 650 && box.y + box.height <= 844, `the bar is at ${JSON.stringify(box)}`);
    await bar.getByRole('button', { name: 'Silence…' }).click(); // the browser opens the sheet by itself
    await page.getByLabel('4 hours').check();
    await page.getByLabel('Why').fill('planned <b>restart</b>');
    await page.locator('#silence').getByRole('button', { name: 'Silence' }).click();
    assert.match(await page.locator('#alert-verdict').innerText(), /Silenced until .*: nobody is told/);
    assert.match(await page.locator('#alert-oncall').innerText(), /planned <b>restart<\/b>/);
    const silences = (await api('/api/v2/silences')).filter((one) => one.status.state === 'active');
    assert.equal(silences.length, 1);
    assert.ok(Math.abs(Date.parse(silences[0].endsAt) - Date.now() - 4 * 3600_000) < 60_000);
    await bar.getByRole('button', { name: 'End silence' }).click();
    assert.doesNotMatch(await page.locator('#alert-verdict').innerText(), /Silenced/);
    await close();
  });

  test('lists what a number counts, and each number says what it is', async () => {
    const { page, close } = await open(`/flows/${stuck.flow}`);
    await page.getByRole('button', { name: 'What is counted: Stuck' }).click();
    const told = page.getByRole('dialog', { name: 'Stuck' });
    assert.match(await told.innerText(), /Counted[\s\S]*Left out[\s\S]*Fresh[\s\S]*Flow version/);
    await page.keyboard.press('Escape');
    await page.locator('#flow-stats a.inside[href$="state=open,held,stuck,unknown"]').click();
    await page.waitForURL('**/instances?state=open,held,stuck,unknown');
    assert.ok(await page.locator('#list tbody tr').count() > 0);
    await page.getByRole('columnheader', { name: 'Value' }).getByRole('link').click();
    await page.waitForURL('**sort=value**');
    assert.match(await page.locator('th[aria-sort]').innerText(), /^Value/);
    const file = await fetch(`${demo.url}/flows/${stuck.flow}/instances.csv?state=stuck`);
    assert.match(await file.text(), /^flow,key,state,/);
    await close();
  });

  for (const colorScheme of ['light', 'dark']) {
    test(`is readable by all, ${colorScheme}`, async () => {
      const faults = [];
      for (const [name, path] of await screens()) {
        const { page, status, close } = await open(path, { colorScheme, reducedMotion: 'reduce' });
        assert.equal(status, 200, path);
        await page.screenshot({ path: join(shots, `${name}-${colorScheme}.png`), fullPage: true });
        await page.evaluate(axe); // through the debugger: the page's own policy forbids it
        const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
        for (const v of violations.filter((v) => ['serious', 'critical'].includes(v.impact))) {
          faults.push(`${path}: ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html).join(' ')}`);
        }
        await close();
      }
      assert.deepEqual(faults, []);
    });
  }

  test('fits a phone', async () => {
    const faults = [];
    for (const [name, path] of await screens()) {
      const { page, close } = await open(path, { viewport: { width: 390, height: 844 }, hasTouch: true });
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      await page.screenshot({ path: join(shots, `${name}-phone.png`), fullPage: true });
      if (width > 390) faults.push(`${path} is ${width} px wide`);
      await close();
    }
    assert.deepEqual(faults, []);
  });

  test('said nothing on the console', () => assert.deepEqual(errors, []));

  test('tells that it is stale when the server is gone', async () => {
    const { page } = await open('/');
    await until('the page is live', 10, () => page.evaluate(() => /live/i.test(document.querySelector('#live')?.innerText ?? '')));
    const stopped = demo.stop(); // takes its time: the page knows before
    const says = (pattern) => () => page.evaluate((p) => new RegExp(p, 'i').test(document.querySelector('#live').innerText), pattern);
    await until('the page tries again', 12, says('reconnecting'));
    await until('the page tells that its numbers are old', 20, says('stale since'));
    await page.screenshot({ path: join(shots, 'stale.png') });
    await stopped;
  });
});

/** Every screen by name and path. */
async function screens() {
  const all = [
    ['overview', '/'], ['flow', `/flows/${stuck.flow}`], ['flow-24h', `/flows/${stuck.flow}?range=24h`],
    ['step', `/flows/${stuck.flow}/steps/${stuck.reason_step || stuck.waiting_on[0].step}`],
    ['model', `/flows/${stuck.flow}/model`], ['instances', `/flows/${stuck.flow}/instances?state=stuck`], ['instance', `/instances/${stuck.flow}/${encodeURIComponent(stuck.key)}`],
    ['alerts', '/alerts'], ['search', `/search?q=${encodeURIComponent(stuck.key.slice(0, 4))}`], ['components', '/_/components'],
  ];
  const alerts = await api('/api/v1/alerts');
  if (alerts.length > 0) all.push(['alert', `/alerts/${alerts[0].fingerprint}`]);
  return all;
}
