// The words of a wait are written by the server and counted on by the browser: one table for both.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { waited } from '../assets/js/waited.js';

test('a wait has the same words in the browser as on the server', async () => {
  const rows = JSON.parse(await readFile(new URL('../views/testdata/waited.json', import.meta.url), 'utf8'));
  assert.ok(rows.length >= 15);
  for (const { milliseconds, words } of rows) assert.equal(waited(milliseconds), words, `${milliseconds} ms`);
});
