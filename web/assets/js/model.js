// Checks a flow file while it is typed. One question at a time: the latest text waits for the
// answer before it.
const pause = 250; // ms after the last key

export function startModel() {
  const form = document.querySelector('form[data-check]');
  if (!form) return;
  const field = form.querySelector('textarea');
  let timer = 0;
  let asking = false;
  let checked = null; // the text that was checked last

  async function check() {
    clearTimeout(timer);
    if (asking || field.value === checked) return;
    asking = true;
    const text = field.value;
    try {
      const response = await fetch(form.action, { method: 'POST', body: new URLSearchParams({ text }), headers: { Accept: 'text/fragment+html' } });
      if (response.ok) {
        document.getElementById('model-check').outerHTML = await response.text();
      } else {
        document.getElementById('model-check').textContent = (await response.json()).detail;
      }
      checked = text;
    } catch {
      document.getElementById('model-check').textContent = 'Not checked: the server does not answer.';
    } finally {
      asking = false;
    }
    if (field.value !== text) timer = setTimeout(check, pause);
  }

  // A fault's line is shown where it is typed.
  document.getElementById('try').addEventListener('click', (event) => {
    const line = Number(event.target.closest('[data-line]')?.dataset.line);
    if (!line) return;
    event.preventDefault();
    const before = field.value.split('\n').slice(0, line);
    const end = before.join('\n').length;
    field.focus();
    field.setSelectionRange(end - before.at(-1).length, end);
    field.scrollTop = (line - 4) * (field.scrollHeight / field.value.split('\n').length);
  });
  field.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(check, pause);
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    checked = null;
    check();
  });
}
