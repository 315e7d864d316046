// Acknowledging: one press, without leaving the page, and a toast that takes it back.
import { announce } from './announce.js';

const shownFor = 6000; // unless the pointer or the focus is in it
let timer = 0;

async function send(action, fields = {}) {
  const response = await fetch(action, {
    method: 'POST', body: new URLSearchParams(fields), headers: { Accept: 'application/json' },
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return answer;
}

function place() {
  let toast = document.getElementById('toast');
  if (!toast) {
    toast = document.createElement('div');
    toast.id = 'toast';
    toast.className = 'toast';
    document.body.append(toast);
    for (const over of ['pointerleave', 'focusout']) toast.addEventListener(over, () => leaveSoon(toast));
    toast.addEventListener('keydown', (event) => { if (event.key === 'Escape') toast.remove(); });
  }
  return toast;
}

function leaveSoon(toast) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (toast.matches(':hover, :focus-within')) leaveSoon(toast);
    else toast.remove();
  }, shownFor);
}

function button(words, press) {
  const made = document.createElement('button');
  made.type = 'button';
  made.className = 'btn';
  made.textContent = words;
  made.addEventListener('click', press);
  return made;
}

function say(words, ...more) {
  const toast = place();
  const text = document.createElement('span');
  text.textContent = words;
  toast.replaceChildren(text, ...more);
  announce(words);
  leaveSoon(toast);
}

const failed = (error) => say(`This did not work: ${error.message}`);

/** Asks once who it is: from then on the browser keeps the name. */
function nameForm(path) {
  const form = document.createElement('form');
  form.className = 'form';
  const input = document.createElement('input');
  Object.assign(input, { type: 'text', name: 'by', placeholder: 'Your name, kept in this browser', maxLength: 100, required: true, autocomplete: 'name' });
  input.setAttribute('aria-label', 'Your name');
  const keep = document.createElement('button');
  keep.className = 'btn';
  keep.textContent = 'Keep';
  form.append(input, keep);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    acknowledge(path, { by: input.value });
  });
  return form;
}

async function acknowledge(path, fields) {
  try {
    const { ack } = await send(`${path}/ack`, fields);
    const undo = button('Undo', async () => {
      try {
        await send(`${path}/unack`);
        say('Taken back. Nobody has it.');
      } catch (error) {
        failed(error);
      }
    });
    const nameless = ack.by === 'someone on this machine';
    say(`Acknowledged by ${ack.by}.`, undo, ...(nameless ? [nameForm(path)] : []));
  } catch (error) {
    failed(error);
  }
}

/** The one of its kind that a key means: in the card with the focus, or the only one to see. */
function meant(selector) {
  const card = document.activeElement?.closest('.alert');
  const all = [...(card ?? document).querySelectorAll(selector)].filter((one) => one.checkVisibility());
  if (all.length > 1) say('There are several alerts: choose one with j and k first.');
  return all.length === 1 ? all[0] : null;
}

export const acknowledgeMeant = () => meant('form[data-ack]')?.requestSubmit();
export const silenceMeant = () => meant('[data-silence]')?.click();

/** Opens the sheet that the address points into. */
function reveal() {
  const at = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  const sheet = at && at.closest('[popover]');
  if (!sheet || sheet.matches(':popover-open')) return;
  sheet.showPopover();
  at.focus();
}

/** Tab goes around in a sheet: what lies under it is out of reach until it is closed. */
function goAround(sheet, event) {
  if (event.key !== 'Tab') return;
  const stops = [...sheet.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea')]
    .filter((one) => one.checkVisibility() && !one.disabled && (one.type !== 'radio' || one.checked));
  const [from, to] = event.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]];
  if (document.activeElement !== from) return;
  event.preventDefault();
  to.focus();
}

export function startOnCall() {
  document.addEventListener('submit', (event) => {
    const form = event.target;
    if (!form.matches('form[data-ack]')) return;
    event.preventDefault();
    const path = form.getAttribute('action').replace(/\/ack$/, '');
    if (!document.documentElement.classList.contains('is-stale')) return acknowledge(path, {});
    const stopped = document.getElementById('stale-at').textContent; // it may be over, or another's, by now
    say(`The numbers stopped at ${stopped}. Acknowledge all the same?`, button('Acknowledge', () => acknowledge(path, {})));
  });
  for (const sheet of document.querySelectorAll('.sheet[popover]')) {
    sheet.addEventListener('keydown', (event) => goAround(sheet, event));
    sheet.addEventListener('toggle', (event) => { if (event.newState === 'open') sheet.querySelector('textarea')?.focus(); });
  }
  addEventListener('hashchange', reveal);
  reveal();
}
