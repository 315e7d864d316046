// Starts what the tests look at: the demo in a throw-away folder on free ports, and a browser.
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';

const root = fileURLToPath(new URL('../../', import.meta.url));
export const binary = process.env.THROUGHLINE_BIN ?? join(root, 'bin', 'throughline');
const browserPath = process.env.CHROMIUM ?? '/usr/bin/chromium';

export const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/**
 * Runs the demo, or serve with settings, until stop(); url is where it answers. restart() ends it
 * and starts it again with its data at the same address. again.keep leaves the folder again.dir as it is.
 */
export async function startDemo(command = 'demo', settings = {}, again = undefined) {
  if (!existsSync(binary)) throw new Error(`${binary} is missing: run make build first`);
  const dir = again?.dir ?? await mkdtemp(join(tmpdir(), 'throughline-e2e-'));
  const child = spawn(binary, [command, '--data-dir', dir], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      THROUGHLINE_HTTP_ADDR: again?.http ?? '127.0.0.1:0',
      THROUGHLINE_OTLP_GRPC_ADDR: '127.0.0.1:0',
      THROUGHLINE_OTLP_HTTP_ADDR: '127.0.0.1:0',
      ...settings,
    },
  });
  let log = '';
  child.stderr.on('data', (chunk) => { log = (log + chunk).slice(-20_000); });
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
  const end = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      const hard = setTimeout(() => child.kill('SIGKILL'), 20_000);
      await exited;
      clearTimeout(hard);
    }
  };
  const stop = async () => {
    await end();
    if (!again?.keep) await rm(dir, { recursive: true, force: true });
  };
  try {
    const ready = await firstReady(child, exited);
    return {
      url: `http://${ready.http}`, pid: child.pid, dir, stop, log: () => log,
      restart: async () => {
        await end();
        return startDemo(command, settings, { dir, http: ready.http });
      },
    };
  } catch (error) {
    await stop();
    throw new Error(`${error.message}\n${log}`);
  }
}

/** What a command of the program prints. */
export async function run(...args) {
  return (await promisify(execFile)(binary, args, { cwd: root })).stdout.trim();
}

/** The line of JSON that says where the server listens. */
function firstReady(child, exited) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the demo was not ready within 90 s')), 90_000);
    exited.then((why) => { clearTimeout(timer); reject(new Error(`the demo ended (${why}) before it was ready`)); });
    createInterface({ input: child.stdout }).on('line', (line) => {
      let said;
      try { said = JSON.parse(line); } catch { return; }
      if (said?.ready) { clearTimeout(timer); resolve(said); }
    });
  });
}

/** A headless browser that looks nothing up outside. */
export async function startBrowser() {
  return chromium.launch({
    executablePath: browserPath,
    headless: true,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ],
  });
}

/** Where screenshots go: outside of the checkout. */
export async function shotsFolder() {
  const dir = process.env.THROUGHLINE_SHOTS ?? join(tmpdir(), 'throughline-shots');
  await mkdir(dir, { recursive: true });
  return dir;
}

/** Asks again until look() gives something true; what it gave last is in the error. */
export async function until(what, seconds, look) {
  const end = Date.now() + seconds * 1000;
  let last;
  do {
    try {
      last = await look();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  } while (Date.now() < end);
  throw new Error(`${what}: not within ${seconds} s; last: ${last?.stack ?? JSON.stringify(last)}`);
}

/** What the console says of history that is not read in time; who asks again gets it. */
export const isLate = (text) => /status of 503/.test(text);

/**
 * Goes to a page, and waits until it has all that it shows: on a machine that does other things
 * history may not be read in time (503), or not within three seconds. Then a page comes without it
 * and, where nothing else would bring that, loads itself again until it is there.
 */
export async function visit(page, url) {
  let response;
  await until('the page is answered', 60, async () => {
    response = await page.goto(url, { waitUntil: 'load' });
    if (response && response.status() !== 503) return true;
    await page.goto('about:blank'); // an answer of 503 may load itself again
    return false;
  });
  await whole(page);
  return response;
}

/** Waits until a page has its history. */
export async function whole(page) {
  await until('the page has its history', 60, () => page.evaluate(() => document.readyState === 'complete' && !document.querySelector('head meta[http-equiv="refresh"], [data-unread]')));
}

/** Does what needs an alert, and does it again where that was over before it was done: those of the demo come and go. */
export async function whileOpen(isOpen, attempt) {
  for (let left = 2; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      if (left === 0 || await isOpen()) throw error;
    }
  }
}
