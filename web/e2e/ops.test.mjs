// Looks at the pages of those who run the business, as they do: from a wall to the instances behind a number, and into the past.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { axePath, isLate, shotsFolder, startBrowser, startDemo, until, visit } from './demo.mjs';

let demo, browser, axe, shots, stuck;

async function open(path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, ...options });
  const page = await context.newPage();
  const errors = [];
  page.on('console', (message) => { if (message.type() === 'error' && !isLate(message.text())) errors.push(message.text()); });
  page.on('pageerror', (error) => errors.push(String(error)));
  const response = await visit(page, demo.url + path);
  const close = async () => {
    assert.deepEqual(errors, [], path);
    await context.close();
  };
  return { page, status: response.status(), close };
}

async function api(path) {
  const response = await until(`${path} is answered`, 60, async () => {
    const answer = await fetch(demo.url + path);
    return answer.status !== 503 && answer;
  });
  assert.equal(response.status, 200, `${path}: ${response.status}`);
  return response.json();
}

/** How many rows a list has as a file. */
async function rows(path) {
  const response = await fetch(demo.url + path);
  assert.equal(response.status, 200, `${path}: ${response.status}`);
  return (await response.text()).trim().split('\n').length - 1;
}

/** A whole second of the past, as addresses have it: nothing comes later than so many seconds. */
const ago = (seconds) => new Date(Math.floor(Date.now() / 1000 - seconds) * 1000).toISOString().replace('.000Z', 'Z');

const tile = (page, label) => page.locator('#flow-stats .stat', { has: page.locator('.dt', { hasText: new RegExp(`^${label}$`) }) }).locator('.v');
const figure = async (locator) => Number((await locator.innerText()).replaceAll(/[^\d.]/g, ''));

before(async () => {
  [demo, browser, axe, shots] = await Promise.all([startDemo(), startBrowser(), readFile(axePath, 'utf8'), shotsFolder()]);
}, { timeout: 120_000 });

after(async () => {
  await browser?.close();
  await demo?.stop();
}, { timeout: 60_000 });

describe('ops', { timeout: 900_000 }, () => {
  test('see every system, what waits for it, and go there', async () => {
    const { systems } = await until('systems are heard', 60, async () => {
      const answer = await api('/api/v1/systems');
      return answer.systems.length > 5 && answer.systems.every((s) => s.last_heard) && answer;
    });
    const { page, close } = await open('/systems');
    for (const { system } of systems) assert.equal(await page.locator('#systems .name', { hasText: new RegExp(`^${system}$`) }).count(), 1, system);
    const { system } = systems.find((s) => s.steps.length > 0 && s.state === 'live') ?? systems[0];
    await page.locator('#systems .name', { hasText: new RegExp(`^${system}$`) }).click();
    await page.waitForURL(`**/systems/${system}`);
    assert.ok((await page.locator('#system-say').innerText()).startsWith(system));
    assert.ok(await page.locator('#system-steps a[href*="/steps/"]').count() > 0);
    await close();
  });

  test('find behind each number exactly what it counts', async () => {
    stuck = await until('something is stuck', 150, async () => {
      const { flows } = await api('/api/v1/flows');
      return flows.find((f) => f.stuck > 0);
    });
    const at = ago(10);
    await until('each number has its list', 60, async () => { // what comes late on a busy machine is in both after a while
      const health = await api(`/api/v1/flows/${stuck.flow}/health?at=${at}`);
      const list = (ask) => rows(`/flows/${stuck.flow}/instances.csv?at=${at}&${ask}`);
      assert.ok(health.started > 0);
      assert.equal(await list('counted=started'), health.started);
      assert.equal(await list('counted=completed'), health.completed);
      assert.equal(await list('counted=failed'), health.failed);
      assert.equal(await list('state=stuck'), health.stuck);
      assert.equal(await list('state=open,held,stuck,unknown'), health.in_flight);
      for (const step of health.steps) {
        assert.equal(await list(`counted=reached&step=${step.step}`), step.reached, step.step);
        assert.equal(await list(`counted=skipped&step=${step.step}`), step.skipped, step.step);
      }
      return true;
    });
  });

  test('play back an hour: every frame is what the API answers for that instant', async () => {
    const at = ago(30);
    const { page, close } = await open(`/flows/${stuck.flow}?at=${at}`);
    const same = async (instant) => {
      const health = await api(`/api/v1/flows/${stuck.flow}/health?at=${instant}`);
      assert.equal(await figure(tile(page, 'In flight')), health.in_flight, instant);
      assert.equal(await figure(tile(page, 'Stuck')), health.stuck, instant);
      assert.equal(await figure(tile(page, 'Completed')), health.completed, instant);
    };
    await same(at);
    await page.locator('[data-jump="-60"]').click();
    const earlier = new Date(Date.parse(at) - 60_000).toISOString().replace('.000Z', 'Z');
    await until('the minute before is shown', 10, async () => new URL(page.url()).searchParams.get('at') === earlier
      && await page.locator('#asof').getAttribute('data-at') === String(Date.parse(earlier)));
    await same(earlier);
    await page.selectOption('#player-speed', '10');
    await page.locator('[data-action=play]').click();
    await until('it plays', 10, async () => Number(await page.locator('#asof').getAttribute('data-at')) > Date.parse(earlier) + 5000);
    await page.locator('[data-action=play]').click();
    const paused = await until('the pause is in the address', 5, () => new URL(page.url()).searchParams.get('at') !== earlier && new URL(page.url()).searchParams.get('at'));
    await until('the instant of the address is shown', 10, async () => await page.locator('#asof').getAttribute('data-at') === String(Date.parse(paused)));
    await same(paused);
    assert.equal(await page.locator('#socket').count(), 0, 'the past is not live');
    await close();
  });

  test('are told when the past was asked for wrongly', async () => {
    for (const path of ['?at=soon', '?at=2999-01-01', '?at=2026-01-01T00:00:00Z&from=2025-01-01T00:00:00Z', '/instances?counted=all', '/instances?counted=started&window=0']) {
      const response = await fetch(`${demo.url}/flows/${stuck.flow}${path}`);
      assert.equal(response.status, 400, path);
      assert.match(await response.text(), /<h1/, path);
    }
  });

  test('see times in their own zone', async () => {
    const { page, close } = await open('/', { timezoneId: 'America/New_York' });
    await until('the page is in the zone', 10, async () => await page.locator('html').getAttribute('data-zone') === 'America/New_York');
    assert.match(await page.locator('#asof').innerText(), /E[SD]T$/);
    await close();
  });

  test('see nothing jump while numbers change', async () => {
    const { page, close } = await open(`/flows/${stuck.flow}`);
    await page.evaluate(() => {
      window.shift = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.shift += entry.value;
      }).observe({ type: 'layout-shift', buffered: false });
    });
    const first = await page.locator('#flow-stats').innerText();
    await until('numbers change', 20, async () => (await page.locator('#flow-stats').innerText()) !== first);
    await page.waitForTimeout(3000);
    const shift = await page.evaluate(() => window.shift);
    assert.ok(shift < 0.1, `the layout shifted by ${shift}`);
    await close();
  });

  test('keep rows where they are while the pointer is among them', async () => {
    const { page, close } = await open(`/flows/${stuck.flow}`);
    const steps = () => page.locator('#flow-steps table').innerText();
    const stats = () => page.locator('#flow-stats').innerText();
    await page.locator('#flow-steps').scrollIntoViewIfNeeded();
    await page.locator('#flow-steps tbody tr').nth(2).hover();
    await until('the table is held', 20, () => page.locator('#flow-steps[data-held]').count());
    const [held, moving] = [await steps(), await stats()];
    await page.mouse.move(700, 5);
    await page.locator('#flow-steps tbody tr').nth(3).hover();
    await until('other numbers go on', 20, async () => (await stats()) !== moving);
    assert.equal(await steps(), held);
    await page.mouse.move(700, 5);
    await until('the table is let go, and has what it missed', 20, async () => await page.locator('#flow-steps[data-held]').count() === 0 && (await steps()) !== held);
    await close();
  });

  const sizes = [['wall', 1920, 1080, 'dark'], ['desk', 1440, 1000, 'light'], ['phone', 390, 844, 'light']];
  for (const [name, width, height, colorScheme] of sizes) {
    test(`fit their pages on a ${name}, with nothing that a screen reader stumbles over`, async () => {
      const paths = ['/', '/systems', '/systems/erp', `/flows/${stuck.flow}`, `/flows/${stuck.flow}?at=${ago(10)}`, `/flows/${stuck.flow}/instances?counted=started`];
      for (const path of paths) {
        const { page, close } = await open(path + (name === 'wall' ? `${path.includes('?') ? '&' : '?'}density=wall` : ''), { viewport: { width, height }, colorScheme });
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} is wider than ${width} px`);
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'] }));
        const serious = violations.filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => `${v.id}: ${v.nodes[0].html}`);
        assert.deepEqual(serious, [], path);
        await page.screenshot({ path: join(shots, `ops-${name}-${paths.indexOf(path)}.png`) });
        await close();
      }
    });
  }
});
