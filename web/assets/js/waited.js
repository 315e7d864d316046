/** The words of views.waited: 47 s, 32 m 47 s, 1 h 5 m 55 s, 9 d 2 h. group stands between thousands, and with
 * two between hundreds of them (1,00,000). One table in testdata tests both. */
export function waited(ms, group = ',', two = '') {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s}\u00a0s`;
  if (s < 3600) return `${Math.floor(s / 60)}\u00a0m\u00a0${s % 60}\u00a0s`;
  if (s < 86400) return `${Math.floor(s / 3600)}\u00a0h\u00a0${Math.floor((s % 3600) / 60)}\u00a0m\u00a0${s % 60}\u00a0s`;
  return `${String(Math.floor(s / 86400)).replace(two ? /\B(?=(\d{2})*\d{3}$)/g : /\B(?=(\d{3})+$)/g, group)}\u00a0d\u00a0${Math.floor((s % 86400) / 3600)}\u00a0h`;
}
