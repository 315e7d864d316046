// Measures the time from sending an event to its number on the screen, in the browser: npm run pixels.
// 1,000 events a second for 20 s, while 200 other sockets look at all kinds of pages. The clock of an event begins
// when its request is due, and ends behind the first painted frame that counts it.
//   node web/e2e/pixels.mjs [--rate 1000] [--seconds 20] [--batch 10] [--sockets 200] [--page /flows/bench]
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { binary, run, startBrowser, startDemo, until } from './demo.mjs';

const clock = () => performance.timeOrigin + performance.now();

/** Sends at a fixed rate, whatever the server does; tells when each request was due, or what went wrong. */
async function send({ url, rate, batch, seconds }) {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  const id = `pixels-${process.pid}-${Date.now()}`;
  const post = (n) => new Promise((resolve, reject) => {
    const time = new Date().toISOString();
    const events = Array.from({ length: batch }, (_, i) => ({
      specversion: '1.0', id: `${id}-${n * batch + i}`, source: 'pixels', type: 'bench.begun', time, data: { bench_id: `${id}-${n * batch + i}` },
    }));
    const sent = request(`${url}/api/v1/events`, { method: 'POST', agent, headers: { 'content-type': 'application/cloudevents-batch+json' } }, (answer) => {
      answer.resume().on('end', () => (answer.statusCode === 200 ? resolve() : reject(new Error(`events: ${answer.statusCode}`))));
    });
    sent.on('error', reject);
    sent.end(JSON.stringify(events));
  });
  const began = clock();
  const every = (1000 * batch) / rate;
  const due = [];
  const answers = [];
  const late = []; // ms from when a request was due to when it was handed over
  const took = []; // ms to its answer
  while (due.length * every < seconds * 1000) {
    const behind = clock() - began - due.length * every;
    if (behind < 0) {
      await new Promise((resolve) => setTimeout(resolve, -behind));
      continue;
    }
    late.push(behind);
    const sent = clock();
    answers.push(post(due.length).then(() => { took.push(clock() - sent); }, (error) => error.message));
    due.push(began + due.length * every);
  }
  const faults = (await Promise.all(answers)).filter(Boolean);
  agent.destroy();
  return { due, faults, late, took, lasted: clock() - began };
}

/** In the page: remembers when frames were painted, and what they count. */
function watch() {
  globalThis.painted = [];
  const place = () => document.querySelector('#flow-stats [data-means=in-flight] .v, #flow-stats .stat:nth-child(2) .v');
  const read = () => Number(place()?.innerText.replaceAll(/[^\d]/g, ''));
  let last = read();
  new MutationObserver(() => {
    const now = read();
    if (!(now > last)) return;
    last = now;
    requestAnimationFrame(() => {
      const behind = new MessageChannel();
      behind.port1.onmessage = () => globalThis.painted.push([performance.timeOrigin + performance.now(), now]);
      behind.port2.postMessage(0);
    });
  }).observe(document.getElementById('main'), { subtree: true, childList: true, characterData: true });
  return last;
}

/** ms that the browser's clock is ahead of ours, by the quickest of some answers. */
async function ahead(page) {
  let best = { took: Infinity };
  for (let i = 0; i < 30; i++) {
    const from = clock();
    const there = await page.evaluate(() => performance.timeOrigin + performance.now());
    const took = clock() - from;
    if (took < best.took) best = { took, offset: there - from - took / 2 };
  }
  return best;
}

const rank = (sorted, share) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];

const quantiles = (all) => {
  const sorted = all.toSorted((a, b) => a - b);
  return [0.5, 0.99, 1].map((share) => Math.round(rank(sorted, share) * 10) / 10);
};

async function main() {
  const { values } = parseArgs({ options: {
    rate: { type: 'string', default: '1000' }, seconds: { type: 'string', default: '20' }, batch: { type: 'string', default: '10' },
    sockets: { type: 'string', default: '200' }, page: { type: 'string', default: '/flows/bench' },
  } });
  const [rate, seconds, batch, sockets] = [values.rate, values.seconds, values.batch, values.sockets].map(Number);
  if (![rate, seconds, batch].every((n) => n > 0) || seconds > 600) throw new Error('--rate, --seconds (at most 600) and --batch must be above 0');
  const config = await mkdtemp(join(tmpdir(), 'throughline-pixels-'));
  await mkdir(join(config, 'flows'));
  await writeFile(join(config, 'flows', 'bench.yaml'), `${await run('bench', 'live', '--print')}\n`);
  const server = await startDemo('serve', { THROUGHLINE_CONFIG_DIR: config });
  const browser = await startBrowser();
  let crowd;
  try {
    await send({ url: server.url, rate: 10, batch: 1, seconds: 1 }); // a page of a flow, not of first steps
    if (sockets > 0) {
      crowd = spawn(binary, ['bench', 'pages', '--server', server.url, '--sockets', String(sockets), '--duration', `${Math.ceil(seconds) + 12}s`], { stdio: ['ignore', 'pipe', 'inherit'] });
      crowd.report = '';
      crowd.stdout.on('data', (chunk) => { crowd.report += chunk; });
      crowd.ended = new Promise((resolve) => crowd.once('exit', resolve));
    }
    const page = await browser.newPage({ viewport: { width: 1440, height: 1000 } });
    await page.goto(server.url + values.page, { waitUntil: 'load' });
    await until('the page is live', 20, () => page.evaluate(() => document.getElementById('live').dataset.state === 'live'));
    await new Promise((resolve) => setTimeout(resolve, sockets > 0 ? 8000 : 2000)); // the crowd measures 5 s of quiet before it comes
    const before = await page.evaluate(watch);
    const offset = await ahead(page);
    const { due, faults, late, took: answered, lasted } = await new Promise((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: { url: server.url, rate, batch, seconds } });
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    if (faults.length > 0) throw new Error(`${faults.length} requests failed, the first: ${faults[0]}`);
    const all = before + due.length * batch;
    await until('all are on the screen', 20, () => page.evaluate((n) => globalThis.painted.at(-1)?.[1] >= n, all));
    const painted = await page.evaluate(() => globalThis.painted);
    const took = [];
    let frame = 0;
    due.forEach((at, n) => {
      const counted = before + (n + 1) * batch;
      while (painted[frame][1] < counted) frame++;
      for (let i = 0; i < batch; i++) took.push(painted[frame][0] - offset.offset - at);
    });
    took.sort((a, b) => a - b);
    console.log(JSON.stringify({
      events: took.length, rate: Math.round((1000 * took.length) / lasted), sockets, page: values.page, frames: painted.length,
      p50_ms: Math.round(rank(took, 0.5) * 10) / 10, p90_ms: Math.round(rank(took, 0.9) * 10) / 10, p99_ms: Math.round(rank(took, 0.99) * 10) / 10, max_ms: Math.round(took.at(-1) * 10) / 10,
      sent_late_ms: quantiles(late), answered_ms: quantiles(answered), clocks_within_ms: Math.round(offset.took * 5) / 10,
      own: await page.evaluate(() => globalThis.throughline?.latency()),
    }));
    if (crowd) {
      await crowd.ended;
      console.log(crowd.report.trim());
    }
  } finally {
    crowd?.kill();
    await browser.close();
    await server.stop();
    await rm(config, { recursive: true, force: true });
  }
}

if (isMainThread) await main();
else parentPort.postMessage(await send(workerData));
