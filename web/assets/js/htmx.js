// htmx's extensions look for a global when they load, and imports run before statements:
// so this is a module of its own, imported before them.
import htmx from 'htmx.org/dist/htmx.esm.js';

globalThis.htmx = htmx;

export default htmx;
