// The operators' page under load for as long as MINUTES says: what it holds, and whether it stays
// smooth. A line of a CSV file every ten seconds, a summary at the end; 1 where memory grew.
import { spawn } from 'node:child_process';
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { connected, launch, openAdmin } from './harness/browser.mjs';
import { BINARIES, PATIENCE, ROOT, System, until } from './harness/system.mjs';

const MINUTES = Number(process.env.MINUTES ?? 60);
const RATE = Number(process.env.RATE ?? 1000);
const EVERY = 10_000;

/** What a page that keeps nothing may differ by between two looks, in bytes and in nodes. */
const [HEAP_MAY_GROW, NODES_MAY_GROW] = [2 << 20, 100];

const FOLDER = join(ROOT, 'target/dashboard-soak');
const FILE = join(FOLDER, `${new Date().toISOString().replace(/[:.]/g, '-')}.csv`);

/** Of Chromium's own metrics: the last four are seconds since the page began. */
const METRICS = ['JSHeapUsedSize', 'Nodes', 'JSEventListeners', 'ScriptDuration', 'LayoutDuration', 'RecalcStyleDuration', 'TaskDuration'];

mkdirSync(FOLDER, { recursive: true });
const [system, browser] = await Promise.all([
  // So that an hour does not fill the disk.
  System.start({ workers: false, hub: { Notifications__MaxPerUser: '100' } }),
  launch(),
]);
let load;
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 1000 } });
  context.setDefaultTimeout(PATIENCE);
  const page = await openAdmin(context, system);
  await connected(page);
  load = startLoad();
  await until('the load shows', async () => (await shownRate(page)) > 0);
  const samples = await watch(page);
  process.exitCode = summary(samples, page.faults) ? 0 : 1;
} finally {
  load?.kill();
  await browser.close();
  await system.stop();
}

function startLoad() {
  const options = {
    url: `${system.url}/hubs/plantanalysis`, connections: 100, rate: RATE, posters: 64,
    // It ends with the watching.
    duration: `${Math.ceil(MINUTES) + 10}m`,
  };
  const arguments_ = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const env = { PATH: process.env.PATH, TENDRIL_LOAD_SECRET: system.tokenSecret, TENDRIL_LOAD_INTERNAL_SECRET: system.internalSecret };
  const running = spawn(join(BINARIES, 'tendril-load'), ['notify', ...arguments_, '--quiet'], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  running.once('error', (error) => console.error(error.message));
  return running;
}

/** What the page says itself. */
async function shownRate(page) {
  const text = await page.getByRole('region', { name: 'Notifications a second', exact: true }).locator('.now').innerText();
  return Number(text.replace(/[^\d.]/g, ''));
}

async function watch(page) {
  const chromium = await page.context().newCDPSession(page);
  await chromium.send('Performance.enable');
  await page.evaluate(watchFrames);
  const header = ['seconds', 'rate', 'frames', 'frameP50', 'frameP99', 'frameMax', 'longTasks', ...METRICS];
  appendFileSync(FILE, `${header}\n`);
  console.log(`${MINUTES} minutes at ${RATE} a second; ${FILE}`);
  const began = Date.now();
  const samples = [];
  while (Date.now() - began < MINUTES * 60_000) {
    await new Promise((resolve) => setTimeout(resolve, EVERY));
    const frames = await page.evaluate(() => window.takeFrames());
    // What is left then is what the page holds.
    await chromium.send('HeapProfiler.collectGarbage');
    const { metrics } = await chromium.send('Performance.getMetrics');
    const now = Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
    const sample = { seconds: (Date.now() - began) / 1000, rate: await shownRate(page), ...frames, ...now };
    // Taking the sample is not the page's doing.
    await page.evaluate(() => window.takeFrames());
    samples.push(sample);
    appendFileSync(FILE, `${header.map((name) => Math.round(sample[name] * 1000) / 1000)}\n`);
  }
  return samples;
}

/** In the page: the times between its frames, and its tasks above 50 ms, since they were last taken. */
function watchFrames() {
  let [times, longTasks, last] = [[], 0, performance.now()];
  const frame = (now) => {
    times.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  new PerformanceObserver((list) => (longTasks += list.getEntries().length)).observe({ type: 'longtask' });
  window.takeFrames = () => {
    const sorted = times.sort((one, other) => one - other);
    const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
    const taken = { frames: sorted.length, frameP50: at(0.5), frameP99: at(0.99), frameMax: at(1), longTasks };
    [times, longTasks] = [[], 0];
    return taken;
  };
}

function summary(samples, faults) {
  if (samples.length < 2) throw new Error('So short a time shows nothing.');
  const tenth = Math.max(1, Math.floor(samples.length / 10));
  const parts = [samples.slice(0, tenth), samples.slice(-tenth)];
  const median = (part, name) => part.map((sample) => sample[name]).sort((one, other) => one - other)[Math.floor(part.length / 2)];
  const [first, last] = parts.map((part) => (name) => median(part, name));
  const seconds = samples.at(-1).seconds - samples[0].seconds;
  const share = (name) => `${((100 * (samples.at(-1)[name] - samples[0][name])) / seconds).toFixed(2)} %`;
  const line = (what, name, unit, scale = 1) => console.log(`${what.padEnd(28)} ${(first(name) / scale).toFixed(1)} -> ${(last(name) / scale).toFixed(1)} ${unit}`);
  console.log(`The first tenth of the time -> the last, medians; ${samples.length} samples in ${(samples.at(-1).seconds / 60).toFixed(1)} minutes`);
  line('notifications, as shown', 'rate', 'a second');
  line('heap after a collection', 'JSHeapUsedSize', 'MiB', 1 << 20);
  line('nodes', 'Nodes', '');
  line('event listeners', 'JSEventListeners', '');
  line('frames, half within', 'frameP50', 'ms');
  line('frames, 99 of 100 within', 'frameP99', 'ms');
  const worst = Math.max(...samples.map(({ frameMax }) => frameMax));
  const long = samples.reduce((sum, { longTasks }) => sum + longTasks, 0);
  console.log(`longest frame ${worst.toFixed(0)} ms; ${long} tasks above 50 ms, in ${samples.filter(({ longTasks }) => longTasks > 0).length} of the samples`);
  console.log(`main thread: ${share('TaskDuration')} busy; script ${share('ScriptDuration')}, layout ${share('LayoutDuration')}, style ${share('RecalcStyleDuration')}`);
  const grown = [
    last('JSHeapUsedSize') - first('JSHeapUsedSize') > HEAP_MAY_GROW && 'The heap grew.',
    last('Nodes') - first('Nodes') > NODES_MAY_GROW && 'Nodes became more.',
    ...faults,
  ].filter(Boolean);
  console.log(grown.length === 0 ? 'Nothing grew.' : grown.join('\n'));
  return grown.length === 0;
}
