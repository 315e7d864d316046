// Pictures of every page, from the demo, into docs/screens: npm run screens. Small PNGs: where
// ImageMagick is at hand, their colours are put into a palette.
import { execFileSync } from 'node:child_process';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startBrowser, startDemo, until } from './demo.mjs';

const folder = fileURLToPath(new URL('../../docs/screens/', import.meta.url));
const demo = await startDemo();
const browser = await startBrowser();
const api = async (path) => (await fetch(demo.url + path)).json();
const flow = '/flows/order-to-cash';
const phone = { name: '-phone', viewport: { width: 390, height: 844 }, colorScheme: 'light', hasTouch: true };
const desk = { name: '', viewport: { width: 1440, height: 900 }, colorScheme: 'light' };
const dusk = { ...desk, name: '-dark', colorScheme: 'dark' };
const wide = (colorScheme) => ({ name: '-1920', viewport: { width: 1920, height: 1080 }, colorScheme });

/** The demo's incident, open and grown, and an order that it holds; it comes and goes every three minutes. */
const incident = () => until('the incident', 240, async () => {
  const alert = (await api('/api/v1/alerts')).find((a) => a.labels.step === 'invoiced' && Number(a.annotations.count) >= 20);
  const { instances } = await api(`/api/v1${flow}/instances?state=stuck&step=invoiced&sort=age&limit=1`);
  return alert && instances.length > 0 && { alert: alert.fingerprint, stuck: instances[0].key, seen: Date.now() };
});
const isOn = async ({ alert, stuck }) => (await api('/api/v1/alerts')).some((a) => a.fingerprint === alert)
  && (await api(`/api/v1${flow}/instances/${encodeURIComponent(stuck)}`)).state === 'stuck';

async function shot(page, name, path) {
  await page.goto(demo.url + path, { waitUntil: 'load' });
  await page.waitForFunction(() => !document.querySelector('#socket') || document.querySelector('#live').dataset.state === 'live', null, { timeout: 20_000 });
  await page.waitForTimeout(300);
  await page.screenshot({ path: join(folder, `${name}.png`) });
}

try {
  await mkdir(folder, { recursive: true });
  for (const old of await readdir(folder)) if (old.endsWith('.png')) await rm(join(folder, old));
  // What the incident shows, taken while it lasts; a picture that it ended under is taken again in the next one.
  const during = [
    ['instance', ({ stuck }) => `/instances/order-to-cash/${encodeURIComponent(stuck)}`], ['alert', ({ alert }) => `/alerts/${alert}`], ['overview', () => '/'], ['flow', () => flow],
    ['step', () => `${flow}/steps/invoiced`], ['alerts', () => '/alerts'], ['instances', () => `${flow}/instances?state=stuck`],
  ];
  const playback = ({ seen }) => `${flow}?at=${new Date(Math.floor(seen / 1000) * 1000).toISOString()}`;
  const after = [
    ['playback', playback], ['variants', () => `${flow}/variants`], ['systems', () => '/systems'], ['system', () => '/systems/erp'], ['model', () => `${flow}/model`],
    ['search', ({ stuck }) => `/search?q=${encodeURIComponent(stuck)}`],
  ];
  const dark = ['overview', 'flow', 'alert', 'instance', 'systems'];
  let now = await incident();
  for (const look of [desk, phone, wide('dark'), wide('light'), dusk]) {
    const context = await browser.newContext({ ...look, reducedMotion: 'reduce' });
    const page = await context.newPage();
    for (const [name, path] of [...during, ...after]) {
      if (look.name === '-dark' && !dark.includes(name)) continue;
      if (look.name === '-1920' && (look.colorScheme === 'dark') !== dark.includes(name)) continue;
      const at = () => path(now) + (name === 'overview' && look.name === '-1920' ? '?density=wall' : '');
      if (during.some(([one]) => one === name)) {
        do {
          now = await incident();
          await shot(page, name + look.name, at());
        } while (!await isOn(now));
      } else {
        await shot(page, name + look.name, at());
      }
    }
    await context.close();
  }
} finally {
  await browser.close();
  await demo.stop();
}
try {
  for (const file of await readdir(folder)) if (file.endsWith('.png')) execFileSync('convert', [join(folder, file), '-strip', '-colors', '64', '-define', 'png:compression-level=9', `PNG8:${join(folder, file)}`]);
} catch {
  console.error('convert is not at hand: the pictures keep all their colours');
}
