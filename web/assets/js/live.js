// The live layer: what the indicator says, waits that count on, and holding updates back.
// The socket itself is htmx's (hx-ws); the server pushes <hx-partial>s that it morphs in.
import { announce } from './announce.js';
import { startHold } from './hold.js';
import { waited } from './waited.js';
import { beaten, clock as pageClock, offset as clockOffset, shown, startEyes } from './eyes.js';

const beatEvery = 5000; // the server says something at least this often
const silentFor = 2 * beatEvery; // longer, and the connection counts as lost
const staleAfter = 10000; // lost for so long, and the numbers count as stale
const behindFor = 30000; // numbers older than this are named, though the server is live
const saidAfter = 2000; // lost for so long, and it is said aloud: a page that was only away comes back sooner
const sleptFor = 5000; // the machine's clock went so far from the page's: it slept, or was set

const byId = (id) => document.getElementById(id);

let connection = null; // htmx's, with socket, attempt and timer
let heardAt = 0; // performance.now() of the last message
let openedAt = 0; // when the connection opened; 0 while there is none. It proves nothing: a message does
let askedAt = 0; // when this socket was first seen to be opening; 0 while none is
let seenAt = 0; // when the reader came to the page, or back to it: the server gets a moment from then
let lostAt = 0; // when the connection was found lost; 0 while it is not
let lostSaid = false;
let retryAt = 0; // when the next try is due
let atOnce = false; // the connection is closed to be opened again
let away = document.hidden;
let ahead = Date.now() - pageClock();
let paused = false;
let waiting = 0; // updates held back
let missed = false; // something was held back, if only the time
let offset = 0; // the server's clock minus ours, in ms
let clockKnown = false; // heartbeats tell the time of the numbers
let restoring = false; // the engine reads back what it knew
let reconnects = 0;
let kind = '';
let openAlerts = 0;
let acks = new Map(); // alert to who has it, '' for nobody
let clock; // writes times in the page's zone

const serverNow = () => pageClock() + (clockOffset() ?? offset);

/** The reader marks text: changing it now would take the marks away. */
function marking() {
  const marked = getSelection();
  return marked && !marked.isCollapsed && byId('main').contains(marked.anchorNode);
}

const holding = () => paused || marking();

function setState(state, word, note) {
  const button = byId('live');
  button.dataset.state = state;
  byId('live-word').textContent = word;
  byId('live-note').textContent = note;
  document.documentElement.classList.toggle('is-stale', state === 'stale');
}

function show() {
  const now = performance.now();
  const at = byId('asof')?.querySelector('.clock')?.textContent ?? '';
  const tries = connection?.attempt ?? 0;
  const left = Math.max(0, Math.ceil((retryAt - now) / 1000));
  const next = left > 0 ? `try ${tries}, in ${left} s` : 'trying';
  const stale = lostAt > 0 && now - lostAt >= staleAfter;
  byId('stale').hidden = !stale;
  if (stale) {
    setState('stale', `Stale since ${at}`, 'numbers frozen');
    byId('stale-at').textContent = at;
    byId('stale-next').textContent = left > 0 ? `Trying again in ${left} s.` : 'Trying again.';
  } else if (lostAt > 0) {
    setState('reconnecting', 'Reconnecting', next);
  } else if (paused) {
    setState('paused', 'Paused', waiting === 1 ? '1 update waiting' : `${waiting} updates waiting`);
  } else if (heardAt > 0) {
    const behind = serverNow() - Number(byId('asof')?.dataset.at ?? serverNow());
    if (restoring) setState('restoring', 'Restoring', 'no verdicts yet');
    else if (marking()) setState('live', 'Live', 'held while text is marked');
    else if (clockKnown && behind > behindFor) setState('behind', 'Live', `data ${Math.round(behind / 1000)} s behind`);
    else setState('live', 'Live', '');
  }
}

function lost() {
  if (lostAt > 0 || document.hidden) return;
  lostAt = performance.now();
}

function heard() {
  heardAt = performance.now();
  if (lostAt === 0) return;
  lostAt = 0;
  if (lostSaid) {
    lostSaid = false;
    reconnects++;
    announce('Connection is back');
  }
  show();
}

/** Tries again at once; htmx listens for this event and opens a closed socket. */
export function retry() {
  if (!connection) return;
  const { socket, timer } = connection;
  if (socket?.readyState === WebSocket.CONNECTING) again();
  if (socket && socket.readyState !== WebSocket.CLOSED) return;
  clearTimeout(timer);
  document.dispatchEvent(new Event('visibilitychange'));
}

function again() {
  atOnce = true;
  openedAt = askedAt = 0;
  connection?.socket?.close();
}

/** A new connection begins with everything as it is now: nothing is replayed. */
function refresh() {
  waiting = 0;
  missed = false;
  again();
}

/** The reader is back, or the machine is awake: what is shown is old until something is heard. */
function returned() {
  seenAt = performance.now();
  lost();
  show();
}

export function togglePause() {
  if (!byId('socket')) return;
  paused = !paused;
  byId('live').setAttribute('aria-pressed', String(paused));
  if (!paused && missed) refresh();
  show();
}

/** Ends a socket that says nothing, or does not open: htmx opens another one. */
function endSilent(now) {
  const socket = connection?.socket;
  askedAt = socket?.readyState === WebSocket.CONNECTING ? askedAt || now : 0;
  if (askedAt > 0 && now - askedAt > silentFor) {
    askedAt = 0;
    socket.close();
  }
  if (now - Math.max(heardAt, openedAt, seenAt) <= silentFor) return;
  lost();
  if (openedAt === 0) return;
  openedAt = 0;
  socket?.close();
}

function tick() {
  if (document.hidden) return;
  const now = performance.now();
  const was = ahead;
  ahead = Date.now() - pageClock();
  if (Math.abs(ahead - was) > sleptFor) {
    returned();
    refresh();
  }
  endSilent(now);
  if (lostAt > 0 && !lostSaid && now - lostAt >= saidAfter) {
    lostSaid = true;
    announce('Connection lost');
  }
  if (missed && !holding() && lostAt === 0) refresh();
  show();
  if (lostAt > 0 || holding()) return; // waits stand still with the numbers beside them
  for (const wait of document.querySelectorAll('[data-since]')) {
    const { group, two } = document.documentElement.dataset;
    const text = waited(serverNow() - Number(wait.dataset.since), group, two);
    if (wait.textContent !== text) wait.textContent = text;
  }
}

/** A message that is not HTML. */
function told(message) {
  if (message.type !== 'heartbeat') return;
  restoring = message.restoring === true;
  beaten(message, connection?.socket);
  if (!message.as_of) return;
  const at = Date.parse(message.as_of);
  const place = byId('asof');
  missed ||= holding();
  if (!place || Number.isNaN(at) || holding()) return;
  clockKnown = true;
  place.dataset.at = String(at);
  place.querySelector('.clock').textContent = clock.format(at);
}

/** After a morph: what changed that is more than numbers. */
function changed() {
  const version = byId('page-version')?.dataset.kind;
  if (version !== kind) {
    location.reload();
    return;
  }
  readClock();
  shown();
  const open = Number(byId('nav-alerts')?.dataset.count ?? 0);
  if (open > openAlerts) announce(open === 1 ? 'An alert is open' : `A new alert: ${open} are open`);
  openAlerts = open;
  const acked = readAcks();
  for (const [alert, by] of acked) {
    if (by && acks.get(alert) === '') announce(`${alert}: acknowledged by ${by}`);
  }
  acks = acked;
}

/** Who has which of the alerts on the page. */
function readAcks() {
  return new Map([...document.querySelectorAll('[data-acked]')].map((place) => [place.dataset.alert, place.dataset.acked]));
}

function readClock() {
  const now = Number(byId('asof')?.dataset.now);
  if (now) offset = now - pageClock();
}

/** Underlines a number for a moment when it changes. */
function underlineChanges() {
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) return;
  new MutationObserver((records) => {
    for (const { target } of records) {
      const place = target.parentElement;
      if (!place?.matches('.n, .v, td.r, .badge text, .num')) continue;
      place.classList.add('changed');
      setTimeout(() => place.classList.remove('changed'), 600);
    }
  }).observe(byId('main'), { subtree: true, characterData: true });
}

export function startLive() {
  const zone = document.documentElement.dataset.zone;
  const options = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' };
  try {
    clock = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: zone });
  } catch {
    clock = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: 'UTC' });
  }
  kind = byId('page-version').dataset.kind;
  openAlerts = Number(byId('nav-alerts')?.dataset.count ?? 0);
  readClock();
  acks = readAcks();
  if (!byId('socket')) return;

  document.addEventListener('htmx:ws:before:connection', (event) => { connection = event.detail.connection; });
  document.addEventListener('htmx:ws:after:connection', (event) => {
    connection = event.detail.connection; // htmx may have begun before this listened
    openedAt = performance.now();
  });
  document.addEventListener('htmx:ws:close', (event) => {
    lost();
    openedAt = askedAt = 0;
    if (atOnce) setTimeout(retry); // after htmx has set its delay
    atOnce = false;
    // htmx has not set its delay yet: it doubles from 1 s to 30 s, with a fifth of jitter.
    const tries = event.detail.connection?.attempt ?? 0;
    retryAt = performance.now() + Math.min(30000, 1000 * 2 ** tries);
    show();
  });
  document.addEventListener('htmx:ws:before:message:incoming', (event) => {
    openedAt ||= performance.now(); // it may have opened before this listened
    heard();
    const text = event.detail.message.data;
    if (typeof text !== 'string') return;
    if (text.startsWith('{')) {
      told(JSON.parse(text));
    } else if (holding()) {
      event.detail.cancelled = true;
      missed = true;
      waiting++;
    }
  });
  document.addEventListener('htmx:ws:after:message:incoming', changed);
  addEventListener('online', retry);
  addEventListener('focus', retry);
  document.addEventListener('visibilitychange', () => {
    if (away && !document.hidden) returned(); // htmx closed the socket as the page went out of sight
    away = document.hidden;
  });
  addEventListener('pageshow', (event) => { if (event.persisted) returned(); });
  seenAt = performance.now();
  startHold(refresh);
  setInterval(tick, 1000);
  startEyes(() => ({
    state: [byId('live-word').textContent, byId('live-note').textContent].filter(Boolean).join(', '),
    asof: byId('asof')?.textContent.trim() ?? '',
    connection: `${reconnects === 0 ? 'never lost' : `came back ${reconnects} times`}, last message ${heardAt > 0 ? ((performance.now() - heardAt) / 1000).toFixed(1) : '–'} s ago`,
    history: byId('notices')?.dataset.history ?? '',
    waiting,
  }));
  underlineChanges();
}
