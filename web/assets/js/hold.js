// Holds back updates of a table or graph that the reader is in the middle of: rows must not move
// from under the pointer or the focus. A pointer that rests for long, as on a wall, holds nothing.
const atRestAfter = 15000; // without a move or a key nobody is in the middle of anything
const letGoAfter = 2000; // once the reader is out

const held = new Map(); // panel to when the reader left it; 0 while inside
let movedAt = -Infinity;

const inside = (panel) => performance.now() - movedAt < atRestAfter && (panel.matches(':hover') || panel.contains(document.activeElement));

/** Whether a morph leaves this element as it is. */
export function holds(element) {
  if (!element.id || !document.getElementById('socket')) return false;
  const panel = element.closest?.('main .panel');
  if (!panel?.querySelector('.tablewrap, .graphwrap')) return false;
  if (!held.has(panel)) {
    if (!inside(panel)) return false;
    held.set(panel, 0);
    panel.dataset.held = '';
  }
  return true;
}

/** Calls letGo after panels were let go: they missed what came meanwhile. */
export function startHold(letGo) {
  for (const event of ['pointermove', 'keydown']) addEventListener(event, () => { movedAt = performance.now(); }, { passive: true });
  setInterval(() => {
    const now = performance.now();
    let free = false;
    for (const [panel, left] of held) {
      if (inside(panel)) {
        held.set(panel, 0);
      } else if (left === 0) {
        held.set(panel, now);
      } else if (now - left >= letGoAfter || !panel.isConnected) {
        held.delete(panel);
        delete panel.dataset.held;
        free = true;
      }
    }
    if (free) letGo();
  }, 500);
}
