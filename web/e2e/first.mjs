// Measures the first page of a fresh process over stored history: npm run first -- --data D --config C.
// For each page and run the server starts anew with nothing in its caches, and the page is the first that anybody asks
// for: the time until its first byte and its last, and its packed size. Then Chromium opens two of them: when they can
// be used, and when they are live. D is what `throughline bench fill` made (see docs/performance.md).
import { writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { parseArgs } from 'node:util';
import { startBrowser, startDemo, until } from './demo.mjs';

const { values } = parseArgs({ options: {
  data: { type: 'string' }, config: { type: 'string' }, flow: { type: 'string', default: 'bench-stored' }, step: { type: 'string', default: 'packed' },
  runs: { type: 'string', default: '5' }, 'drop-caches': { type: 'boolean', default: false },
} });
if (!values.data || !values.config) throw new Error('--data and --config name the folders of the server');
const ago = (hours) => new Date(Math.floor(Date.now() / 1000) * 1000 - hours * 3600_000).toISOString().replace('.000Z', 'Z');
const flow = `/flows/${values.flow}`;
const pages = ['/', '/flows', flow, `${flow}/steps/${values.step}`, `${flow}/instances?state=open,held,stuck,unknown`, '/alerts', '/systems', `${flow}?at=${ago(6)}`];

const start = async () => {
  if (values['drop-caches']) await writeFile('/proc/sys/vm/drop_caches', '3'); // for root only
  return startDemo('serve', { THROUGHLINE_CONFIG_DIR: values.config }, { dir: values.data, http: '127.0.0.1:0', keep: true });
};

/** Asks as a browser does; ms to the first byte and the last, and bytes. */
function ask(url) {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    get(url, { agent: new Agent(), headers: { 'accept-encoding': 'gzip' } }, (answer) => {
      const first = performance.now() - began;
      let bytes = 0;
      answer.on('data', (chunk) => { bytes += chunk.length; }).on('end', () => resolve({ status: answer.statusCode, first, last: performance.now() - began, bytes }));
    }).on('error', reject);
  });
}

const rank = (all, share) => all.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(all.length * share) - 1)];
const whole = (ms) => `${Math.round(ms)} ms`;

const everything = [];
for (const path of pages) {
  const answers = [];
  for (let run = 0; run < Number(values.runs); run++) {
    const server = await start();
    try {
      answers.push(await ask(server.url + path));
    } finally {
      await server.stop();
    }
  }
  const first = answers.map((a) => a.first);
  everything.push(...first);
  console.log(`${path}: status ${answers.map((a) => a.status)}, first byte p50 ${whole(rank(first, 0.5))}, max ${whole(rank(first, 1))}; ${(Math.max(...answers.map((a) => a.bytes)) / 1024).toFixed(1)} KB packed`);
}
console.log(`all pages: first byte p50 ${whole(rank(everything, 0.5))}, p99 ${whole(rank(everything, 0.99))} of ${everything.length}`);

const browser = await startBrowser();
for (const path of ['/', flow]) {
  const server = await start();
  try {
    const page = await (await browser.newContext({ viewport: { width: 1440, height: 1000 } })).newPage();
    let bytes = 0;
    page.on('response', async (response) => { bytes += Number((await response.request().sizes()).responseBodySize); });
    const began = performance.now();
    await page.goto(server.url + path, { waitUntil: 'load' });
    await until('live', 30, () => page.evaluate(() => document.getElementById('live').dataset.state !== 'connecting'));
    const live = performance.now() - began;
    const { interactive, loaded } = await page.evaluate(() => {
      const n = performance.getEntriesByType('navigation')[0];
      return { interactive: n.domInteractive, loaded: n.domContentLoadedEventEnd };
    });
    console.log(`${path} in Chromium: interactive after ${whole(interactive)}, scripts ran after ${whole(loaded)}, connected after at most ${whole(live)}; ${(bytes / 1024).toFixed(1)} KB with style sheet and script`);
  } finally {
    await server.stop();
  }
}
await browser.close();
