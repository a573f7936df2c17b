// How the operators' page reads the hub's figures.
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const source = join(dirname(fileURLToPath(import.meta.url)), '../page/src/admin/figures.ts');
const { outputFiles } = await build({ entryPoints: [source], bundle: true, format: 'esm', write: false });
const { Figures } = await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString('base64')}`);

const buckets = (low, middle, all) => `took_bucket{le="0.1"} ${low}\ntook_bucket{le="1.0"} ${middle}\ntook_bucket{le="+Inf"} ${all}\n`;

test('sums and rates go by labels, and a hub that was started again has no rate', () => {
  const before = new Figures('sent_total{how="a"} 10\nsent_total{how="b"} 5\n', 1_000);
  const now = new Figures('# HELP x\nsent_total{how="a"} 30\nsent_total{how="b"} 5\nopen{at="x\\"y"} 2.0\n', 3_000);
  assert.equal(now.sum('sent_total'), 35);
  assert.equal(now.sum('absent'), 0);
  assert.deepEqual([...now.by('sent_total', 'how')], [['a', 30], ['b', 5]]);
  assert.equal(now.rate('sent_total', before, { how: 'a' }), 10);
  assert.equal(before.rate('sent_total', now), null);
  assert.equal(now.sum('open', { at: 'x\\"y' }), 2);
});

test('a quantile is of what came since, between the bounds of its bucket', () => {
  const before = new Figures(buckets(100, 100, 100), 0);
  assert.equal(new Figures(buckets(100, 100, 100), 1).quantile('took', 0.5, before), null);
  const now = new Figures(buckets(150, 200, 200), 1);
  assert.ok(Math.abs(now.quantile('took', 0.5, before) - 0.1) < 1e-9);
  assert.ok(Math.abs(now.quantile('took', 0.75, before) - 0.55) < 1e-9);
  // Above the last bound nothing is known but that bound.
  assert.equal(new Figures(buckets(100, 100, 110), 1).quantile('took', 0.99, before), 1);
});
