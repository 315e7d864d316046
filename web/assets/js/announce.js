/** Says something to screen readers, politely. Never counters. */
export function announce(text) {
  const place = document.getElementById('announce');
  if (place && place.textContent !== text) place.textContent = text;
}
