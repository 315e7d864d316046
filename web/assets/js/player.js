// Plays an hour of the past: asks for one instant after the other and morphs the page into it.
// It never queues: while an answer is on its way the clock runs on, and the next question is
// for where it is by then.
import htmx from './htmx.js';

const gap = 200; // least ms between two questions

const byId = (id) => document.getElementById(id);

let bar; // #player
let at, from, to; // ms since 1970
let playing = false;
let tickedAt = 0; // performance.now() when at was last moved on
let asking = false;
let shown = 0; // the instant on the page
let clock;

const speed = () => Number(byId('player-speed').value);
const iso = (ms) => new Date(ms).toISOString().replace('.000Z', 'Z');

function address(path, ms) {
  const ask = new URLSearchParams({ at: iso(ms), from: iso(from) });
  if (bar.dataset.range && bar.dataset.range !== '60m') ask.set('range', bar.dataset.range);
  return `${path}?${ask}`;
}

function note(text) {
  byId('player-note').textContent = text;
}

function showPlace() {
  byId('player-at').textContent = clock.format(at);
  byId('player-slide').value = String(Math.round((at - from) / 1000));
  byId('player-slide').setAttribute('aria-valuetext', clock.format(at));
}

function setPlaying(on) {
  playing = on;
  tickedAt = performance.now();
  const button = bar.querySelector('[data-action=play]');
  button.setAttribute('aria-pressed', String(on));
  button.querySelector('span').textContent = on ? 'Pause' : 'Play';
  button.querySelector('use').setAttribute('href', on ? '#i-pause' : '#i-play');
  if (!on) history.replaceState(history.state, '', address(bar.dataset.path, Math.round(at / 1000) * 1000));
}

async function show() {
  const want = Math.round(at / 1000) * 1000;
  if (asking || want === shown) return;
  asking = true;
  try {
    const answer = await fetch(address(`${bar.dataset.path}/frame`, want));
    if (!answer.ok) {
      const problem = await answer.json().catch(() => ({}));
      throw new Error(problem.detail ?? `the server answers ${answer.status}`);
    }
    await htmx.swap({ sourceElement: bar, target: bar, swap: 'none', text: await answer.text() });
    shown = want;
    note('');
  } catch (fault) {
    setPlaying(false);
    note(`Stopped: ${fault.message}`);
  } finally {
    asking = false;
  }
}

function tick() {
  const now = performance.now();
  if (playing) {
    at = Math.min(to, at + (now - tickedAt) * speed());
    tickedAt = now;
    showPlace();
    if (at >= to) setPlaying(false);
  }
  if (!document.hidden) show();
}

/** Goes to an instant; the address follows, so that it can be sent. */
function go(ms) {
  at = Math.min(to, Math.max(from, ms));
  tickedAt = performance.now();
  showPlace();
  if (!playing) history.replaceState(history.state, '', address(bar.dataset.path, Math.round(at / 1000) * 1000));
}

export function togglePlay() {
  if (!playing && at >= to) at = from;
  setPlaying(!playing);
}

export function startPlayer() {
  bar = byId('player');
  if (!bar) return;
  [at, from, to] = [bar.dataset.at, bar.dataset.from, bar.dataset.to].map(Number);
  shown = at;
  const options = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' };
  try {
    clock = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: document.documentElement.dataset.zone });
  } catch {
    clock = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: 'UTC' });
  }
  byId('player-slide').addEventListener('input', (event) => go(from + Number(event.target.value) * 1000));
  byId('player-speed').addEventListener('change', () => { tickedAt = performance.now(); });
  for (const link of bar.querySelectorAll('[data-jump]')) {
    link.addEventListener('click', (event) => {
      event.preventDefault();
      go(at + Number(link.dataset.jump) * 1000);
    });
  }
  setInterval(tick, gap);
}
