import './look.js'; // first: it sets the theme before anything is painted
import './htmx.js';
import 'htmx.org/dist/ext/hx-ws.js';
import { startLive } from './live.js';
import { startKeys } from './keys.js';
import { startActions } from './actions.js';
import { startOnCall } from './oncall.js';
import { startPlayer } from './player.js';
import { startModel } from './model.js';

document.addEventListener('DOMContentLoaded', () => {
  startLive();
  startKeys();
  startActions();
  startOnCall();
  startPlayer();
  startModel();
});
