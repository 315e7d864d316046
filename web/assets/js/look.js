// Theme and density. They are kept per browser; ?theme= and ?density= in the address win.
const root = document.documentElement;
const asked = new URLSearchParams(location.search);

/** What was kept, or null: storage may be forbidden. */
export function kept(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function keep(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // kept for this page only
  }
}

for (const [name, allowed] of [['theme', ['light', 'dark']], ['density', ['wall', 'normal']]]) {
  const value = asked.get(name) ?? kept(name);
  if (allowed.includes(value)) root.dataset[name] = value;
}
root.classList.add('scripted');

export function switchTheme() {
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
  keep('theme', root.dataset.theme);
}

export const isWall = () => root.dataset.density === 'wall';

export function switchDensity() {
  root.dataset.density = isWall() ? 'normal' : 'wall';
  keep('density', root.dataset.density);
}

/** Tells the server the reader's zone, once: pages are written in it from then on. */
function tellZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const told = `zone=${encodeURIComponent(zone)}`;
  const knows = () => document.cookie.split('; ').includes(told);
  if (!zone || zone === root.dataset.zone || knows()) return;
  document.cookie = `${told}; path=/; max-age=31536000; samesite=lax`;
  if (knows()) location.reload();
}
tellZone();
