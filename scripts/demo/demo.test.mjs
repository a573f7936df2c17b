import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inflateSync } from 'node:zlib';
import { drawLeaf } from './leaf.mjs';
import { encodePng } from './png.mjs';
import { ProgressBar } from './progress-bar.mjs';

test('a PNG holds the pixels that were given', () => {
  const rgb = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  const png = encodePng(2, 2, rgb);
  assert.equal(png.readUInt32BE(16), 2);
  assert.equal(png.readUInt32BE(20), 2);
  // IHDR ends at byte 33; IDAT's data begins after its length and name.
  const data = png.subarray(41, 41 + png.readUInt32BE(33));
  assert.deepEqual([...inflateSync(data)], [0, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10, 11, 12]);
  // The checksum of an empty IEND is known from the specification.
  assert.equal(png.subarray(-4).toString('hex'), 'ae426082');
});

test('the same seed draws the same leaf, another seed another', () => {
  const size = { width: 120, height: 80 };
  assert.deepEqual(drawLeaf({ ...size, seed: 1 }), drawLeaf({ ...size, seed: 1 }));
  assert.notDeepEqual(drawLeaf({ ...size, seed: 1 }), drawLeaf({ ...size, seed: 2 }));
});

test('progress is a bar on one line of a terminal, and lines elsewhere', () => {
  const writes = [];
  const out = { isTTY: true, columns: 80, write: (text) => writes.push(text) };
  const bar = new ProgressBar(out);
  bar.show(50, 'half');
  bar.show(50, 'half');
  bar.end();
  assert.equal(writes.length, 2);
  assert.match(writes[0], /\[#{15}\.{15}\] {2}50 % {2}half/);

  const lines = [];
  new ProgressBar({ isTTY: false, write: (text) => lines.push(text) }).show(100, 'done');
  assert.match(lines[0], /100 % {2}done\n$/);
});
