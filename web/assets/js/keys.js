// Keyboard shortcuts (design, section 5.9). They can be turned off, all of them: a button at the
// start of each page opens their list. They never work while a field has the focus.
import { keep, kept } from './look.js';
import { togglePause } from './live.js';
import { togglePlay } from './player.js';
import { acknowledgeMeant, silenceMeant } from './oncall.js';

const places = { o: '/', f: '/flows', a: '/alerts', s: '/systems' };
const rowLinks = 'main tbody tr .name[href], main .hit, main .rows .name[href], main .alert h3 a';

function typing() {
  const at = document.activeElement;
  return at?.isContentEditable || at?.matches('input:not([type=checkbox], [type=radio]), textarea, select');
}

/** Moves the focus by so many rows. */
function step(by) {
  const rows = [...document.querySelectorAll(rowLinks)].filter((link) => link.checkVisibility());
  if (rows.length === 0) return;
  const at = rows.findIndex((link) => link === document.activeElement || link.closest('tr')?.contains(document.activeElement));
  const to = at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1);
  rows[to].focus();
}

function searchField() {
  return [...document.querySelectorAll('input[type=search]')].find((field) => field.checkVisibility());
}

export function startKeys() {
  const dialog = document.getElementById('keys');
  const on = document.getElementById('keys-on');
  on.checked = kept('keys') !== 'off';
  on.addEventListener('change', () => keep('keys', on.checked ? 'on' : 'off'));

  let goUntil = 0; // a place may follow g until then
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing() || dialog.open) return;
    if (!on.checked) return;
    if (event.key === '?') return dialog.showModal();
    if (event.timeStamp < goUntil && places[event.key]) {
      goUntil = 0;
      location.assign(places[event.key]);
      return;
    }
    goUntil = event.key === 'g' ? event.timeStamp + 1200 : 0;
    switch (event.key) {
      case '/': {
        const field = searchField();
        if (!field) return location.assign('/search');
        event.preventDefault();
        field.select();
        field.focus();
        break;
      }
      case 'j': step(1); break;
      case 'k': step(-1); break;
      case 'p': document.getElementById('player') ? togglePlay() : togglePause(); break;
      case 'd': document.getElementById('diagnostics')?.togglePopover(); break;
      case 'a': acknowledgeMeant(); break;
      case 's':
        event.preventDefault(); // the field that gets the focus must not get the letter
        silenceMeant();
        break;
    }
  });
}
