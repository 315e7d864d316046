// Measures the first page of a fresh process over stored history: npm run first -- --data D --config C.
// For each page and round the server starts anew with nothing in its caches, and the page is the first that anybody asks
// for: the time until its first byte, its packed size, and what the server and ClickHouse computed meanwhile, which says on a
// busy machine what the time does not (what a start does in the background is in it; --settle 30 lets it end before). Then
// Chromium opens each once: when it can be used, and all that it loads. It takes --minutes at most, in rounds over all pages,
// and prints a table of what it came to. D is what `throughline bench fill` made (see docs/performance.md).
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { startBrowser, startDemo, until } from './demo.mjs';

const { values } = parseArgs({ options: {
  data: { type: 'string' }, config: { type: 'string' }, flow: { type: 'string', default: 'bench-stored' }, step: { type: 'string', default: 'packed' },
  only: { type: 'string', default: '' }, runs: { type: 'string', default: '3' }, minutes: { type: 'string', default: '20' }, settle: { type: 'string', default: '0' },
  browser: { type: 'boolean', default: false }, 'drop-caches': { type: 'boolean', default: false },
} });
if (!values.data || !values.config) throw new Error('--data and --config name the folders of the server');
const ago = (hours) => new Date(Math.floor(Date.now() / 1000) * 1000 - hours * 3600_000).toISOString().replace('.000Z', 'Z');
const flow = `/flows/${values.flow}`;
const list = `${flow}/instances?`;
const ranges = ['15m', '60m', '24h', '7d', 'all'];
const step = `${flow}/steps/${values.step}`;
const pages = [
  '/', '/?range=24h', '/?density=wall', '/flows', ...['24h', '7d'].map((r) => `/flows?range=${r}`), ...ranges.map((r) => `${flow}?range=${r}`), ...['60m', '24h', '7d'].map((r) => `${step}?range=${r}`),
  ...ranges.map((r) => `${flow}/variants?range=${r}`), `${flow}/model`, '/alerts', '/alerts/{alert}', '/systems', '/systems/depot', '/systems/nobody',
  // Lists, by filters and sorts.
  list, `${list}state=open,held,stuck,unknown`, `${list}state=completed`, `${list}state=stuck&step=${values.step}`, `${list}sort=started`, `${list}sort=key`, `${list}sort=value&state=completed`,
  `${list}since=60m`, `${list}since=6h&state=completed`, `${list}counted=completed&window=1h`, `${list}counted=started&window=24h`, `${list}at=${ago(6)}&state=open,held,stuck,unknown`,
  // One instance, one key, a search; of what there is, and of what there is not.
  `/instances/${values.flow}/{key}`, `/instances/${values.flow}/nobody`, '/entities/bench_id/{key}', '/entities/bench_id/nobody', '/search?q={key}', '/search?q=nobody',
  // The past: playback's first frame is the second.
  `${flow}?at=${ago(6)}`, `${flow}?at=${ago(6)}&from=${ago(6)}`, `${flow}?at=${ago(30)}&range=24h`, `${flow}?at=${ago(30)}&range=7d`, `${step}?at=${ago(6)}`,
].filter((page) => new RegExp(values.only).test(page));

const start = async () => {
  if (values['drop-caches']) await writeFile('/proc/sys/vm/drop_caches', '3'); // for root only
  const server = await startDemo('serve', { THROUGHLINE_CONFIG_DIR: values.config }, { dir: values.data, http: '127.0.0.1:0', keep: true });
  await new Promise((resolve) => { setTimeout(resolve, 1000 * Number(values.settle)); });
  return server;
};

/** Milliseconds that a process has computed, of its user's time and the system's. */
async function computed(pid) {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ');
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

/** The process that the server runs ClickHouse in. */
async function childOf(pid) {
  for (const task of await readdir(`/proc/${pid}/task`)) {
    const [child] = (await readFile(`/proc/${pid}/task/${task}/children`, 'utf8')).split(' ').filter(Boolean);
    if (child) return child;
  }
  throw new Error('the server has no child');
}

/** Asks as a browser does; ms to the first byte, and bytes. */
function ask(url) {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    get(url, { agent: new Agent(), headers: { 'accept-encoding': 'gzip' } }, (answer) => {
      const first = performance.now() - began;
      const chunks = [];
      answer.on('data', (chunk) => { chunks.push(chunk); }).on('end', () => {
        const packed = Buffer.concat(chunks);
        const page = (answer.headers['content-encoding'] === 'gzip' ? gunzipSync(packed) : packed).toString();
        resolve({ status: answer.statusCode, first, bytes: packed.length, unread: /http-equiv="refresh"|Load it again/.test(page) });
      });
    }).on('error', reject);
  });
}

const rank = (all, share) => all.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(all.length * share) - 1)];
const whole = (n) => (n === undefined ? '' : Math.round(n).toLocaleString('en'));
const over = Date.now() + 60_000 * Number(values.minutes);

let server = await start();
const key = await until('an instance', 60, async () => {
  const answer = await (await fetch(`${server.url}/api/v1/flows/${values.flow}/instances?state=completed&limit=1`)).json();
  return answer.instances[0].key;
});
const alert = (await (await fetch(`${server.url}/api/v1/alerts`)).json()).alerts?.[0]?.id;
await server.stop();

const paths = pages.map((page) => page.replace('{key}', key).replace('{alert}', alert)).filter((path) => !path.endsWith('undefined'));
const answers = new Map(paths.map((path) => [path, []])), opened = new Map();
const each = async (what) => {
  for (const path of paths) {
    if (Date.now() > over) return;
    server = await start();
    try {
      await what(path);
    } finally {
      await server.stop();
    }
  }
};

for (let run = 0; run < Number(values.runs); run++) {
  await each(async (path) => {
    const pids = [server.pid, await childOf(server.pid)], before = await Promise.all(pids.map(computed));
    const answer = await ask(server.url + path), after = await Promise.all(pids.map(computed));
    answers.get(path).push({ ...answer, ours: after[0] - before[0], theirs: after[1] - before[1] });
  });
}
if (values.browser) {
  const browser = await startBrowser();
  await each(async (path) => {
    const page = await (await browser.newContext({ viewport: { width: 1440, height: 1000 } })).newPage();
    let bytes = 0;
    page.on('response', async (response) => { try { bytes += Number((await response.request().sizes()).responseBodySize); } catch { /* of a page that is gone */ } });
    await page.goto(server.url + path, { waitUntil: 'load' });
    const interactive = await page.evaluate(() => performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd);
    opened.set(path, { interactive, bytes });
    await page.context().close();
  });
  await browser.close();
}

const columns = ['page', 'runs', 'first byte, ms: p50', 'most', 'CPU ours, ms', 'CPU ClickHouse, ms', 'packed, KB', 'partly', ...(values.browser ? ['interactive, ms', 'with all it loads, KB'] : [])];
console.log(`| ${columns.join(' | ')} |\n|${' --- |'.repeat(columns.length)}`);
const everything = [];
for (const [path, all] of answers) {
  if (!all.length) continue;
  const first = all.map((a) => a.first), status = all.filter((a) => a.status !== 200 && a.status !== 404).map((a) => a.status), page = opened.get(path);
  everything.push(...first);
  const cells = [
    path.replaceAll('|', ' '), all.length, whole(rank(first, 0.5)), whole(rank(first, 1)), whole(rank(all.map((a) => a.ours), 0.5)), whole(rank(all.map((a) => a.theirs), 0.5)),
    (Math.max(...all.map((a) => a.bytes)) / 1024).toFixed(1), [all.filter((a) => a.unread).length || '', ...new Set(status)].join(' '),
    ...(values.browser ? [whole(page?.interactive), page ? (page.bytes / 1024).toFixed(1) : ''] : []),
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
console.log(`all: first byte p50 ${whole(rank(everything, 0.5))} ms, p99 ${whole(rank(everything, 0.99))} ms of ${everything.length}${Date.now() > over ? '; the time was over' : ''}`);
