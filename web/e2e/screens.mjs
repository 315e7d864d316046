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

async function shot(name, path, width, height, colorScheme) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, reducedMotion: 'reduce', hasTouch: width < 700 });
  const page = await context.newPage();
  await page.goto(demo.url + path, { waitUntil: 'load' });
  await page.waitForFunction(() => !document.querySelector('#socket') || document.querySelector('#live').dataset.state === 'live', null, { timeout: 20_000 });
  await page.waitForTimeout(300);
  await page.screenshot({ path: join(folder, `${name}.png`) });
  await context.close();
}

try {
  await mkdir(folder, { recursive: true });
  for (const old of await readdir(folder)) if (old.endsWith('.png')) await rm(join(folder, old));
  const alert = await until('the incident', 180, async () => (await api('/api/v1/alerts')).find((a) => a.labels.step === 'invoiced' && Number(a.annotations.count) >= 20));
  const stuck = (await api('/api/v1/flows/order-to-cash/instances?state=stuck&step=invoiced&limit=1')).instances[0].key;
  const pages = [
    ['overview', '/'], ['flow', '/flows/order-to-cash'], ['step', '/flows/order-to-cash/steps/invoiced'], ['alert', `/alerts/${alert.fingerprint}`],
    ['instance', `/instances/order-to-cash/${encodeURIComponent(stuck)}`], ['alerts', '/alerts'], ['instances', '/flows/order-to-cash/instances?state=stuck'],
    ['variants', '/flows/order-to-cash/variants'], ['playback', `/flows/order-to-cash?at=${new Date(Math.floor(Date.now() / 1000 - 30) * 1000).toISOString()}`], ['systems', '/systems'], ['system', '/systems/erp'], ['model', '/flows/order-to-cash/model'], ['search', `/search?q=${encodeURIComponent(stuck)}`],
  ];
  const dark = ['overview', 'flow', 'alert', 'instance', 'systems'];
  for (const [name, path] of pages) {
    await shot(name, path, 1440, 900, 'light');
    await shot(`${name}-phone`, path, 390, 844, 'light');
    await shot(`${name}-1920`, path + (name === 'overview' ? '?density=wall' : ''), 1920, 1080, dark.includes(name) ? 'dark' : 'light');
    if (dark.includes(name)) await shot(`${name}-dark`, path, 1440, 900, 'dark');
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
