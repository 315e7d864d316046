import './htmx.js';
import 'htmx.org/dist/ext/hx-ws.js';
