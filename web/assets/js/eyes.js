// What this browser sees: how long after the reception of a signal the screen shows it. The
// server's clock comes with each heartbeat; the shortest way there and back says how far the
// guess can be off.
const kept = 1000; // latest samples
const reported = 100; // samples in one message to the server

const samples = [];
let fresh = []; // not told to the server yet
let latest = ''; // data-heard of the update that was measured last
let updates = 0;
let best = null; // ms to add to our clock, as the quickest heartbeat said
let trip = 0; // ms, the shortest round trip
let page = () => ({});

/** ms since 1970 as this page counts them: whoever sets the machine's clock does not move it. */
export const clock = () => performance.timeOrigin + performance.now();

/**
 * ms that the server's clock is ahead of ours; null before the second heartbeat: the first comes
 * while the page is still being built, and says by how much that is late.
 */
export const offset = () => (best === null || trip === 0 ? null : best + trip / 2);

/** A heartbeat came: it has the server's time, and is answered with what was seen. */
export function beaten({ now, rtt_ms: rtt }, socket) {
  if (typeof now !== 'number') return;
  const said = now - clock();
  // Clocks drift and laptops sleep: the guess is given up slowly, and at once where it is far off.
  best = best === null || Math.abs(said - best) > 1000 ? said : Math.max(said, best - 0.05);
  if (rtt > 0) trip = rtt;
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ echo: now, shown_ms: fresh.slice(-reported) }));
  fresh = [];
}

/** An update was put on the page: measured once its frame is painted. */
export function shown() {
  updates++;
  const heard = document.getElementById('page-heard')?.dataset.heard;
  if (!heard || heard === latest || document.hidden || offset() === null) return;
  latest = heard;
  requestAnimationFrame(() => {
    const painted = new MessageChannel();
    painted.port1.onmessage = () => {
      const took = Math.max(0, clock() + offset() - Number(heard));
      samples.push(took);
      if (samples.length > kept) samples.shift();
      fresh.push(Math.round(took * 1000) / 1000);
      if (fresh.length > 10 * reported) fresh.shift();
    };
    painted.port2.postMessage(0); // after the frame, not before
  });
}

const rank = (sorted, share) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];

/** p50 and p99 of what was measured lately, in ms; null before. */
export function latency() {
  if (samples.length === 0) return null;
  const sorted = samples.toSorted((a, b) => a - b);
  return { count: sorted.length, p50: rank(sorted, 0.5), p99: rank(sorted, 0.99) };
}

function write() {
  const panel = document.getElementById('diagnostics');
  if (!panel?.matches(':popover-open')) return;
  const { waiting, ...rest } = page();
  const seen = latency();
  const ahead = offset();
  const texts = {
    ...rest,
    updates: `${updates} shown, ${waiting} held back`,
    latency: seen ? `p50 ${seen.p50.toFixed(0)} ms, p99 ${seen.p99.toFixed(0)} ms, of ${seen.count} updates` : 'no update yet',
    trip: trip > 0 ? `${trip.toFixed(1)} ms, so times here may be off by ${(trip / 2).toFixed(1)} ms` : 'not measured yet',
    clock: ahead === null ? 'not compared yet' : `${Math.abs(ahead).toFixed(0)} ms ${ahead >= 0 ? 'behind' : 'ahead of'} the server's`,
  };
  for (const place of panel.querySelectorAll('[data-show]')) {
    const text = texts[place.dataset.show];
    if (text !== undefined && place.textContent !== text) place.textContent = text;
  }
}

/** facts() are those that the live layer knows. */
export function startEyes(facts) {
  page = facts;
  document.getElementById('diagnostics')?.addEventListener('toggle', write);
  setInterval(write, 500);
  globalThis.throughline = { latency }; // for measurements from outside
}
