// The rules of a page that people work with: keyboard, screen reader, touch, colours and motion of their own choice, nothing
// that moves under the pointer, and the truth about what is late.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { axePath, shotsFolder, startBrowser, startDemo, until, visit } from './demo.mjs';

let demo, browser, axe, shots, pages;

async function open(path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  const response = await visit(page, demo.url + path);
  return { page, status: response.status(), close: () => context.close() };
}

const api = async (path) => (await fetch(demo.url + path)).json();
const live = (page) => page.evaluate(() => document.querySelector('#live').dataset.state);
const isLive = (page) => async () => (await live(page)) === 'live';
const invoiced = async () => (await api('/api/v1/alerts')).find((a) => a.labels.step === 'invoiced' && a.labels.flow === 'order-to-cash' && Number(a.annotations.count) >= 5);
/** The demo's incident, which comes and goes: as it fires. */
const incident = () => until('the incident', 150, invoiced);
/** An open alert, where it does not matter which: the incident may be away for minutes. The oldest is likely to stay. */
const anAlert = () => until('an alert', 150, async () => (await api('/api/v1/alerts')).toSorted((a, b) => a.startsAt.localeCompare(b.startsAt))[0]);
const pause = (page, ms) => page.waitForTimeout(ms);

before(async () => {
  [demo, browser, axe, shots] = await Promise.all([startDemo(), startBrowser(), readFile(axePath, 'utf8'), shotsFolder()]);
  const alert = await incident();
  const stuck = await until('a stuck order', 30, async () => (await api('/api/v1/flows/order-to-cash/instances?state=stuck&step=invoiced&limit=1')).instances[0]?.key);
  const flow = '/flows/order-to-cash';
  const at = new Date(Math.floor(Date.now() / 1000 - 20) * 1000).toISOString();
  pages = {
    overview: '/', flows: '/flows', flow, step: `${flow}/steps/invoiced`, variants: `${flow}/variants`, instances: `${flow}/instances?state=stuck`, instance: `/instances/order-to-cash/${encodeURIComponent(stuck)}`,
    playback: `${flow}?at=${at}`, model: `${flow}/model`, alerts: '/alerts', alert: `/alerts/${alert.fingerprint}`, systems: '/systems', system: '/systems/erp', search: `/search?q=${encodeURIComponent(stuck)}`,
    entity: `/entities/order_id/${encodeURIComponent(stuck)}`, missing: '/flows/none', components: '/_/components',
  };
}, { timeout: 240_000 });

after(async () => {
  await browser?.close();
  await demo?.stop();
}, { timeout: 60_000 });

/** What axe finds that is serious. */
async function faults(page, where) {
  await page.evaluate(axe); // through the debugger: the page's own policy forbids it
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  return violations.filter((v) => ['serious', 'critical'].includes(v.impact))
    .map((v) => `${where}: ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200)).join(' ')}`);
}

describe('everybody', { timeout: 900_000 }, () => {
  for (const colorScheme of ['light', 'dark']) {
    for (const [look, viewport] of [['1440', { width: 1440, height: 900 }], ['390', { width: 390, height: 844 }]]) {
      test(`axe finds nothing serious on any page, ${colorScheme}, ${look}`, async () => {
        const found = [];
        for (const [name, path] of Object.entries(pages)) {
          const { page, status, close } = await open(path, { colorScheme, viewport, hasTouch: viewport.width < 700, reducedMotion: 'reduce' });
          assert.equal(status, name === 'missing' ? 404 : 200, path);
          found.push(...await faults(page, `${name} ${look} ${colorScheme}`));
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          if (wide > 0) found.push(`${name} ${look}: ${wide} px too wide`);
          await close();
        }
        assert.deepEqual(found, []);
      });
    }

    test(`axe finds nothing serious in what opens, ${colorScheme}`, async () => {
      const found = [];
      const { page, close } = await open(`/alerts/${(await anAlert()).fingerprint}`, { colorScheme, reducedMotion: 'reduce' });
      const another = async () => { // an alert that is over cannot be silenced
        await page.goto(`${demo.url}/alerts/${(await anAlert()).fingerprint}`);
        await until('the page is live', 20, isLive(page));
      };
      await until('the page is live', 20, isLive(page));
      for (const [name, opens] of [
        ['diagnostics', () => page.keyboard.press('d')], ['keys', () => page.keyboard.press('?')], ['silence', () => page.keyboard.press('s')],
        ['provenance', () => page.getByRole('button', { name: /^What is counted/ }).first().click()],
      ]) {
        const open = page.locator('[popover]:popover-open, dialog[open]').first();
        await until(`${name} opens`, 60, async () => { // a press that meets what is just closing goes nowhere
          if (await page.locator('[data-silence]:visible').count() === 0) await another();
          if (!await open.isVisible()) await opens();
          await page.waitForTimeout(300);
          return open.isVisible();
        });
        found.push(...await faults(page, name));
        for (let i = 0; name === 'silence' && i < 10; i++) {
          await page.keyboard.press(i < 5 ? 'Tab' : 'Shift+Tab');
          const left = await page.evaluate(() => { // a sheet goes with its alert
            const sheet = document.querySelector('.sheet:popover-open');
            return sheet && !sheet.contains(document.activeElement);
          });
          if (left) found.push(`${name}: the focus leaves it`);
        }
        await page.keyboard.press('Escape');
        await open.waitFor({ state: 'hidden' }); // keys pressed before are the dialog's
      }
      await close();
      assert.deepEqual(found, []);
    });
  }

  test('every page is complete without JavaScript', async () => {
    for (const [name, path] of Object.entries(pages)) {
      const { page, close } = await open(path, { javaScriptEnabled: false });
      assert.ok((await page.locator('h1').innerText()).length > 2, name);
      assert.ok((await page.locator('main').innerText()).length > 100, `${name} is empty`);
      assert.equal(await page.locator('.js:visible').count(), 0, `${name} shows what does nothing`);
      assert.match(await page.locator('#live').innerText(), /As of\s\d\d:\d\d:\d\d/, name);
      await close();
    }
  });

  test('numbers, amounts and times are the reader\'s, from the first byte on', async () => {
    const { page, close } = await open(`/alerts/${(await incident()).fingerprint}`, { locale: 'de-DE', timezoneId: 'Asia/Kolkata' });
    await until('the page is live', 20, isLive(page));
    assert.match(await page.locator('#alert-say').innerText(), /\d\s€/);
    assert.match(await page.locator('#asof').innerText(), /IST/);
    await pause(page, 1500); // what the socket brings is written alike
    assert.match(await page.locator('#alert-say').innerText(), /\d\s€/);
    await page.goto(`${demo.url}/flows/none`);
    assert.match(await page.locator('#asof').innerText(), /IST/);
    await close();
  });

  test('the keyboard reaches everything, and always shows where it is', async () => {
    const { page, close } = await open('/', { reducedMotion: 'reduce' });
    await until('the page is live', 20, isLive(page));
    await page.keyboard.press('p'); // steady: what comes and goes is another test's
    const seen = [];
    for (let i = 0; i < 120; i++) {
      await page.keyboard.press('Tab');
      const at = await page.evaluate(() => {
        const e = document.activeElement;
        if (!e || e === document.body) return null;
        const box = e.getBoundingClientRect();
        const style = getComputedStyle(e);
        const top = document.elementFromPoint(Math.min(innerWidth - 1, Math.max(0, box.x + box.width / 2)), Math.min(innerHeight - 1, Math.max(0, box.y + box.height / 2)));
        return {
          what: `${e.tagName} ${e.className?.baseVal ?? e.className} ${e.textContent.trim().slice(0, 30)}`, ring: style.outlineStyle !== 'none' ? parseFloat(style.outlineWidth) : 0,
          inside: box.bottom > 0 && box.top < innerHeight, covered: !(e.contains(top) || top?.contains(e)),
        };
      });
      if (!at) break; // once around
      seen.push(at);
    }
    assert.ok(seen.length > 40, `only ${seen.length} stops`);
    assert.deepEqual(seen.filter((at) => at.ring < 2 || !at.inside || at.covered), []);
    await close();
  });

  test('the keys do what their list says, and can be turned off', async () => {
    const { page, close } = await open('/');
    const at = () => new URL(page.url()).pathname;
    for (const [key, path] of [['f', '/flows'], ['a', '/alerts'], ['s', '/systems'], ['o', '/']]) {
      await page.keyboard.press('g');
      await Promise.all([page.waitForURL(`**${path}`), page.keyboard.press(key)]);
      await until('the keys listen', 5, () => page.evaluate(() => document.readyState === 'complete'));
      assert.equal(at(), path);
    }
    await page.keyboard.press('/');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'q');
    await page.keyboard.type('gf?'); // text in a field is text
    assert.equal(at(), '/');
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    const second = await page.evaluate(() => document.activeElement.getAttribute('href'));
    await page.keyboard.press('k');
    assert.notEqual(await page.evaluate(() => document.activeElement.getAttribute('href')), second);
    await page.keyboard.press('j');
    await Promise.all([page.waitForEvent('load'), page.keyboard.press('Enter')]);
    assert.equal(at(), new URL(second, demo.url).pathname);
    await until('the page is live', 20, isLive(page));
    await page.keyboard.press('p');
    assert.equal(await live(page), 'paused');
    await page.keyboard.press('p');
    await until('it goes on', 5, async () => (await live(page)) !== 'paused');
    await page.keyboard.press('?');
    await page.locator('#keys-on').uncheck();
    await page.keyboard.press('Escape');
    await page.locator('#keys').waitFor({ state: 'hidden' }); // keys pressed before are the dialog's
    await page.keyboard.press('p');
    assert.notEqual(await live(page), 'paused', 'a key works though they are off');
    await page.keyboard.press('?');
    assert.ok(!await page.locator('#keys').isVisible(), '? works though keys are off');
    await page.getByRole('button', { name: 'Keyboard shortcuts' }).focus();
    await page.keyboard.press('Enter');
    await page.locator('#keys').waitFor();
    await page.locator('#keys-on').check();
    await close();
  });

  test('what a finger meets is 40 px high, what a pointer meets 24', async () => {
    const small = [];
    for (const [least, options] of [[40, { viewport: { width: 390, height: 844 }, hasTouch: true }], [24, {}]]) {
      for (const name of ['overview', 'flow', 'alert', 'instance', 'alerts', 'playback']) {
        const { page, close } = await open(pages[name], options);
        small.push(...await page.evaluate(([least, name]) => [...document.querySelectorAll('button, .btn, .seg a, .tabbar a, select, summary, main input:not([type=checkbox], [type=radio], [type=hidden])')]
          .filter((e) => e.checkVisibility() && !e.closest('[popover]:not(:popover-open), dialog:not([open])'))
          .map((e) => ({ what: `${name}: ${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 20)}`, high: Math.round(e.getBoundingClientRect().height * 10) / 10 }))
          .filter(({ high }) => high > 0 && high < least - 0.5), [least, name]));
        await close();
      }
    }
    assert.deepEqual(small, []);
  });

  test('colours of the system, and no motion where none is wanted', async () => {
    const { page, close } = await open('/', { forcedColors: 'active', reducedMotion: 'reduce' });
    await until('the page is live', 20, isLive(page));
    await page.screenshot({ path: join(shots, 'forced-colours.png') });
    const plain = await page.evaluate(() => [...document.querySelectorAll('.pill, .alert, .stat.stuck, .btn')].filter((e) => e.checkVisibility() && parseFloat(getComputedStyle(e).borderTopWidth) < 1).map((e) => e.className));
    assert.deepEqual(plain, [], 'shapes vanish with their colours');
    await pause(page, 3000);
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
    assert.equal(await page.locator('.changed').evaluateAll((all) => all.filter((e) => getComputedStyle(e).textDecorationLine.includes('underline')).length), 0);
    await close();
  });

  test('the wall shows everything on one 1080p screen, large', async () => {
    const { page, close } = await open('/?density=wall', { viewport: { width: 1920, height: 1080 }, colorScheme: 'dark' });
    await until('the page is live', 20, isLive(page));
    const cut = await page.evaluate(() => {
      const wrap = document.querySelector('.flowspanel .tablewrap');
      const faults = [];
      if (wrap.scrollWidth > wrap.clientWidth + 1) faults.push(`the flows are ${wrap.scrollWidth - wrap.clientWidth} px too wide`);
      for (const id of ['overview-stats', 'alerts-open', 'overview-chart', 'overview-systems']) {
        const box = document.getElementById(id).getBoundingClientRect();
        if (box.bottom > innerHeight) faults.push(`${id} ends at ${box.bottom}`);
      }
      const flows = document.querySelector('.flowspanel').getBoundingClientRect();
      if (flows.bottom > innerHeight) faults.push(`the flows end at ${flows.bottom}`);
      for (const value of document.querySelectorAll('.stat .v')) if (parseFloat(getComputedStyle(value).fontSize) < 32) faults.push(`a value of ${getComputedStyle(value).fontSize}`);
      return faults;
    });
    assert.deepEqual(cut, []);
    await page.screenshot({ path: join(shots, 'wall.png') });
    await close();
  });
});

describe('while numbers change', { timeout: 900_000 }, () => {
  test('nothing shifts', async () => {
    const moved = await Promise.all(['flow', 'step', 'flows', 'systems', 'system', 'instances', 'alert', 'instance', 'overview'].map(async (name) => {
      const { page, close } = await open(pages[name]);
      await until('the page is live', 60, isLive(page));
      const shift = await page.evaluate(() => new Promise((done) => {
        let sum = 0;
        const from = [];
        const shown = () => [...document.querySelectorAll('article.alert, main tbody tr, main .rows > li, main .changes > li')].map((e) => e.id || e.querySelector('a')?.getAttribute('href')).sort().join();
        const there = shown();
        let other = false; // something came or went: that may move the rest
        const order = () => [...document.querySelectorAll('main tbody tr[id]')].map((row) => row.id).join();
        let sorted = order();
        const observer = new PerformanceObserver((list) => {
          const again = sorted !== (sorted = order()); // rows sorted anew: what moved is all rows, and only they
          other ||= there !== shown();
          for (const entry of list.getEntries()) {
            if (entry.sources.every((s) => s.previousRect.y === s.currentRect.y)) continue; // a number that grew, in its own cell
            if (again && entry.sources.every((s) => s.node?.closest?.('tbody tr[id]') && s.previousRect.height === s.currentRect.height)) continue;
            sum += entry.value;
            from.push(...entry.sources.map((s) => `${s.node?.id || s.node?.className || s.node?.nodeName} ${s.previousRect.y}>${s.currentRect.y} ${s.previousRect.height}>${s.currentRect.height}`));
          }
        });
        observer.observe({ type: 'layout-shift' });
        setTimeout(() => { observer.disconnect(); done({ sum, from: from.slice(0, 5), other: other || there !== shown() }); }, 6000);
      }));
      await close();
      return { name, ...shift };
    }));
    assert.deepEqual(moved.filter(({ sum, other }) => sum > 0.02 && !other), []);
  });

  test('the socket says what changed every 45 ms at most, and nodes stay the same', async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    let frames = 0;
    page.on('websocket', (socket) => socket.on('framereceived', () => { frames++; }));
    await page.goto(demo.url + pages.flow);
    await until('the page is live', 20, isLive(page));
    await page.evaluate(() => { globalThis.node = document.querySelector('#flow-stats .stat .v'); globalThis.row = document.querySelector('#flow-steps tbody tr'); });
    await page.getByRole('button', { name: 'What is counted: Started' }).click();
    const began = performance.now();
    frames = 0;
    await pause(page, 5000);
    const took = performance.now() - began; // a busy machine comes back later
    assert.ok(frames > 3 && frames <= took / 45 + 5, `${frames} messages in ${took} ms`);
    assert.ok(await page.evaluate(() => globalThis.node.isConnected && globalThis.row.isConnected), 'an element was put in the place of another');
    assert.ok(await page.getByRole('dialog', { name: 'Started' }).isVisible(), 'what the reader opened was closed');
    await context.close();
  });

  test('a reader in a table holds it, and text that is marked holds the page', async () => {
    const { page, close } = await open(pages.flow);
    await until('the page is live', 20, isLive(page));
    const table = page.locator('#flow-steps');
    await table.scrollIntoViewIfNeeded();
    const text = () => table.innerText();
    await table.locator('tbody tr').first().hover();
    await until('it says that it is held', 10, () => table.evaluate((e) => 'held' in e.dataset));
    const before = await text();
    await pause(page, 3000);
    assert.equal(await text(), before, 'rows change under the pointer');
    await page.mouse.move(5, 5);
    await until('it goes on', 10, async () => !(await table.evaluate((e) => 'held' in e.dataset)) && (await text()) !== before);
    await page.evaluate(() => getSelection().selectAllChildren(document.querySelector('#flow-head h1')));
    await until('marked text holds', 10, async () => /held while text is marked/.test(await page.locator('#live').innerText()));
    await page.evaluate(() => { document.querySelector('#asof').dataset.at -= 40_000; });
    await pause(page, 1500);
    assert.match(await page.locator('#live').innerText(), /held while text is marked/, 'what the reader holds is not late');
    await page.evaluate(() => getSelection().removeAllRanges());
    await until('it goes on', 10, async () => !/held/.test(await page.locator('#live').innerText()) && (await live(page)) === 'live');
    assert.doesNotMatch(await page.locator('#announce').textContent(), /Connection/, 'what is let go is not a lost connection');
    await close();
  });

  test('only what matters is said aloud, in one place', async () => {
    const { page, close } = await open('/');
    await until('the page is live', 20, isLive(page));
    assert.equal(await page.locator('[aria-live], [role=status], [role=alert], [role=log]').count(), 1, 'there is more than one live region');
    await page.evaluate(() => {
      globalThis.said = [];
      new MutationObserver(() => globalThis.said.push(document.querySelector('#announce').textContent)).observe(document.querySelector('#announce'), { childList: true, characterData: true, subtree: true });
    });
    await pause(page, 8000);
    const said = await page.evaluate(() => globalThis.said);
    for (const words of said) assert.match(words, /^(An alert is open|A new alert: \d+ are open|.+: acknowledged by .+|Connection (lost|is back)|)$/, words);
    await close();
  });

  test('late data is not a lost connection', async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.routeWebSocket(/\/ws\?/, (ws) => {
      const server = ws.connectToServer();
      server.onMessage((message) => {
        if (typeof message !== 'string' || !message.startsWith('{')) return;
        const beat = JSON.parse(message);
        ws.send(JSON.stringify({ ...beat, as_of: new Date(Date.now() - 48_000).toISOString() }));
      });
    });
    await page.goto(`${demo.url}/`);
    await until('it says how late the data is', 20, async () => (await live(page)) === 'behind' && /data (4[5-9]|5\d) s behind/.test(await page.locator('#live').innerText()));
    assert.ok(!await page.locator('#stale').isVisible());
    await context.close();
  });

  test('on a stale page an action asks again', async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    let mute = false;
    const sockets = [];
    await page.routeWebSocket(/\/ws\?/, (ws) => {
      if (mute) return ws.close({ code: 1001 });
      sockets.push(ws);
      const server = ws.connectToServer();
      server.onMessage((message) => { if (!mute) ws.send(message); });
    });
    let path;
    await until('the page of an alert that is not over stands still', 150, async () => {
      mute = false;
      path = `/alerts/${(await anAlert()).fingerprint}`;
      await page.goto(demo.url + path);
      await until('the page is live', 20, isLive(page));
      mute = true;
      for (const ws of sockets.splice(0)) await ws.close({ code: 1001 });
      return await page.locator('form[data-ack]').count() > 0;
    });
    await until('the page is stale', 40, async () => (await live(page)) === 'stale');
    const dim = await page.evaluate(() => getComputedStyle(document.querySelector('.stat .v')).color === getComputedStyle(document.querySelector('.stat .dt')).color);
    assert.ok(dim, 'old numbers look like new ones');
    await page.keyboard.press('a');
    const toast = page.locator('#toast');
    await toast.getByText(/numbers stopped at .*Acknowledge all the same\?/i).waitFor();
    assert.ok(!(await api('/api/v1/alerts')).find((a) => `/alerts/${a.fingerprint}` === path)?.annotations.acknowledged_by, 'it was acknowledged unasked');
    await toast.getByRole('button', { name: 'Acknowledge' }).click();
    await toast.getByText(/Acknowledged by|is firing: it is over/).waitFor(); // it may have ended in the half minute before
    if (await toast.getByRole('button', { name: 'Undo' }).count() > 0) await toast.getByRole('button', { name: 'Undo' }).click();
    await context.close();
  });

  test('a page can be used within a second', async () => {
    const took = {};
    for (const name of ['overview', 'flow', 'alert', 'instance', 'systems']) {
      const runs = [];
      for (let i = 0; i < 3 || (i < 12 && Math.min(...runs) >= 1000); i++) { // a machine that does other things is asked again
        const { page, close } = await open(pages[name]);
        runs.push(await page.evaluate(() => performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd));
        await close();
      }
      took[name] = Math.round(Math.min(...runs));
    }
    console.log(`# interactive after ${JSON.stringify(took)} ms`);
    assert.ok(Object.values(took).every((ms) => ms < 1000), JSON.stringify(took));
  });
});
