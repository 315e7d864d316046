// Measures the first page of a fresh process over stored history: npm run first -- --data D --config C.
// For each page and run the server starts anew with nothing in its caches, and the page is the first that anybody asks
// for: the time until its first byte and its last, and its packed size. Then Chromium opens two of them: when they can
// be used, and when they are live. D is what `throughline bench fill` made (see docs/performance.md).
import { writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { startBrowser, startDemo, until } from './demo.mjs';

const { values } = parseArgs({ options: {
  data: { type: 'string' }, config: { type: 'string' }, flow: { type: 'string', default: 'bench-stored' }, step: { type: 'string', default: 'packed' },
  page: { type: 'string' }, runs: { type: 'string', default: '5' }, settle: { type: 'string', default: '0' }, 'drop-caches': { type: 'boolean', default: false },
} });
if (!values.data || !values.config) throw new Error('--data and --config name the folders of the server');
const ago = (hours) => new Date(Math.floor(Date.now() / 1000) * 1000 - hours * 3600_000).toISOString().replace('.000Z', 'Z');
const flow = `/flows/${values.flow}`;
const list = `${flow}/instances?`;
const pages = values.page ? [values.page] : [
  '/', '/?range=24h', '/flows', '/flows?range=7d', flow, `${flow}?range=24h`, `${flow}?range=all`, `${flow}/variants`, `${flow}/variants?range=7d`, `${flow}/model`,
  `${flow}/steps/${values.step}`, `${flow}/steps/${values.step}?range=7d`, '/alerts', '/systems', '/systems/depot', '/systems/nobody',
  // Lists, by each filter and sort.
  `${list}state=open,held,stuck,unknown`, list, `${list}state=completed`, `${list}state=stuck&step=${values.step}`, `${list}sort=started`, `${list}sort=key`, `${list}sort=value&state=completed`,
  `${list}since=60m`, `${list}since=6h&state=completed`, `${list}counted=completed&window=1h`, `${list}counted=started&window=24h`, `${list}at=${ago(6)}&state=open,held,stuck,unknown`,
  // One instance, one key, a search; of what there is, and of what there is not.
  `/instances/${values.flow}/{key}`, `/instances/${values.flow}/nobody`, '/entities/bench_id/{key}', '/entities/bench_id/nobody', '/search?q={key}', '/search?q=nobody',
  // The past.
  `${flow}?at=${ago(6)}`, `${flow}?at=${ago(30)}&range=24h`, `${flow}?at=${ago(30)}&range=7d`, `${flow}/steps/${values.step}?at=${ago(6)}`,
];

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
      const chunks = [];
      answer.on('data', (chunk) => { chunks.push(chunk); }).on('end', () => {
        const last = performance.now() - began, packed = Buffer.concat(chunks);
        const page = (answer.headers['content-encoding'] === 'gzip' ? gunzipSync(packed) : packed).toString();
        resolve({ status: answer.statusCode, first, last, bytes: packed.length, unread: page.includes('http-equiv="refresh"') });
      });
    }).on('error', reject);
  });
}

const rank = (all, share) => all.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(all.length * share) - 1)];
const whole = (ms) => `${Math.round(ms)} ms`;

const server = await start();
const key = await until('an instance', 60, async () => {
  const answer = await (await fetch(`${server.url}/api/v1/flows/${values.flow}/instances?counted=completed&window=8h&limit=1`)).json();
  return answer.instances[0].key;
});
await server.stop();

const everything = [];
for (const path of pages.map((page) => page.replace('{key}', key))) {
  const answers = [];
  for (let run = 0; run < Number(values.runs); run++) {
    const server = await start();
    try {
      await new Promise((resolve) => { setTimeout(resolve, 1000 * Number(values.settle)); });
      const asked = await ask(server.url + path);
      answers.push(asked);
    } finally {
      await server.stop();
    }
  }
  const first = answers.map((a) => a.first);
  everything.push(...first);
  console.log(`${path}: status ${answers.map((a) => a.status)}, first byte p50 ${whole(rank(first, 0.5))}, max ${whole(rank(first, 1))}, partly ${answers.filter((a) => a.unread).length}; ${(Math.max(...answers.map((a) => a.bytes)) / 1024).toFixed(1)} KB packed`);
}
console.log(`all pages: first byte p50 ${whole(rank(everything, 0.5))}, p99 ${whole(rank(everything, 0.99))} of ${everything.length}`);

const browser = await startBrowser();
for (const path of values.page ? [] : ['/', flow]) {
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
