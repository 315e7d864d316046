// What buttons do: data-action names it.
import { isWall, switchDensity, switchTheme } from './look.js';
import { retry, togglePause } from './live.js';
import { announce } from './announce.js';
import { togglePlay } from './player.js';

async function copy(text, button) {
  const label = button.querySelector('span') ?? button;
  const before = label.textContent;
  try {
    await navigator.clipboard.writeText(text);
    label.textContent = 'Copied';
    announce('Copied to clipboard');
  } catch {
    label.textContent = 'Select and copy by hand';
  }
  setTimeout(() => { label.textContent = before; }, 1600);
}

const actions = {
  theme: switchTheme,
  pause: togglePause,
  retry,
  keys: () => document.getElementById('keys').showModal(),
  play: togglePlay,
  wall(button) {
    switchDensity();
    button.setAttribute('aria-pressed', String(isWall()));
  },
  copy: (button) => copy(document.getElementById(button.dataset.copy).textContent, button),
  link: (button) => copy(location.href, button),
};

// A page that is not whole and has no socket is asked for again, but not while somebody fills something in.
function askAgain() {
  if (!document.querySelector('[data-unread]')) return;
  let touched = false;
  document.addEventListener('input', () => { touched = true; }, { once: true });
  setInterval(() => {
    if (!touched && !document.activeElement?.matches('input, select, textarea')) location.reload();
  }, 1000);
}

export function startActions() {
  askAgain();
  for (const button of document.querySelectorAll('[data-action=wall]')) button.setAttribute('aria-pressed', String(isWall()));
  document.addEventListener('click', (event) => {
    const button = event.target.closest?.('[data-action]');
    if (button) actions[button.dataset.action]?.(button);
  });
}
