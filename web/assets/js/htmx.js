// htmx's extensions look for a global when they load, and imports run before statements:
// so this is a module of its own, imported before them.
import htmx from 'htmx.org/dist/htmx.esm.js';
import { holds } from './hold.js';

globalThis.htmx = htmx;

// The content policy allows no inline style and no eval: htmx adds neither with these. Pages
// are loaded by the browser, so htmx keeps no history.
htmx.config.includeIndicatorCSS = false;
htmx.config.history = false;
// Whatever ended a connection, also a proxy that says it was meant so, the page wants it back.
htmx.config.ws = {
  reconnectDelay: 1000, reconnectMaxDelay: 30000, reconnectJitter: 0.2,
  reconnectCodes: [1000, 1001, 1005, 1006, 1008, 1009, 1011, 1012, 1013, 1014, 1015],
};

// A morph takes away what the server does not know: keep what the reader opened, and
// leave alone what the reader is in.
htmx.registerExtension('keep', {
  htmx_before_morph_node: (element) => !holds(element),
  htmx_before_morph_attr: (element, { attrName }) => !(attrName === 'open' && element instanceof HTMLDetailsElement),
});

export default htmx;
