// Takes the pictures for docs/images of the real system: node tests/screenshots.mjs
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { drawLeaf } from '../../../scripts/demo/leaf.mjs';
import { connected, launch, openAdmin, openAs } from './harness/browser.mjs';
import { Redis } from './harness/redis.mjs';
import { PATIENCE, ROOT, System, until } from './harness/system.mjs';

const FOLDER = join(ROOT, 'docs/images');

/** What the user of the pictures has sent, oldest first. */
const SENT = [
  { cropType: 'barley', seed: 21, pustules: 4 },
  { cropType: 'maize', seed: 9, pustules: 50 },
  { cropType: 'wheat', seed: 3, pustules: 110 },
];

const VIEWS = [
  { file: 'web-light.png', colorScheme: 'light', viewport: { width: 1180, height: 860 } },
  { file: 'web-dark.png', colorScheme: 'dark', viewport: { width: 1180, height: 860 } },
  { file: 'web-phone.png', colorScheme: 'light', viewport: { width: 390, height: 800 }, deviceScaleFactor: 2 },
];

const DASHBOARDS = [
  { file: 'admin-light.png', colorScheme: 'light', viewport: { width: 1280, height: 1000 } },
  { file: 'admin-dark.png', colorScheme: 'dark', viewport: { width: 1280, height: 1000 } },
  { file: 'admin-more.png', from: '#nodes-card', colorScheme: 'light', viewport: { width: 1280, height: 1000 } },
  { file: 'admin-phone.png', colorScheme: 'light', viewport: { width: 390, height: 800 }, deviceScaleFactor: 2 },
];

/** How long the operators' pages look on, in milliseconds. */
const WATCHED = 120_000;

mkdirSync(FOLDER, { recursive: true });
const data = mkdtempSync(join(tmpdir(), 'tendril-pictures-'));
const [redis, browser] = await Promise.all([Redis.start(), launch()]);
const shared = { DATA_DIR: data, REDIS_URL: redis.url, UseRedis: 'true' };
const system = await System.start({ hub: shared });
// Its worker finds nobody to analyse for it.
const other = await System.start({ hub: shared, worker: { N8N__WebhookUrl: 'http://localhost:9/webhook' }, workers: false });
try {
  await send();
  for (const view of VIEWS) await take(view);
  await takeDashboards();
} finally {
  await browser.close();
  await Promise.all([system.stop(), other.stop()]);
  await redis.stop();
  rmSync(data, { recursive: true, force: true });
}

async function analyse(hub, user, cropType, leaf) {
  const form = new FormData();
  form.set('cropType', cropType);
  form.set('image', new Blob([drawLeaf({ ...leaf, width: 1200, height: 720 })]));
  const headers = { Authorization: `Bearer ${hub.token(user)}` };
  const response = await fetch(`${hub.url}/api/v1/plantanalyses/analyze-async`, { method: 'POST', headers, body: form });
  return (await response.json()).analysisId;
}

async function send() {
  for (const { cropType, ...leaf } of SENT) {
    const analysisId = await analyse(system, 42, cropType, leaf);
    await until('it is done', async () => (await system.api(42, `/api/v1/plantanalyses/${analysisId}`)).status === 'Completed');
  }
  // Of these only the last is news.
  const response = await fetch(`${system.url}/api/v1/notifications/ack`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${system.token(42)}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ sequence: SENT.length }),
  });
  if (!response.ok) throw new Error(`not acknowledged: ${response.status}`);
}

async function take({ file, ...options }) {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(PATIENCE);
  const page = await openAs(context, system, 42, `/#analysis/${SENT.length}`);
  await connected(page);
  await page.locator('#detail .ring').waitFor();
  // A notification that just came in, as the pictures show what this is for.
  if (options.viewport.width > 900) {
    const { cropType, result } = await system.api(42, '/api/v1/plantanalyses/2');
    await system.completed(42, 2, { cropType, primaryConcern: result.primaryConcern, overallHealthScore: result.overallHealthScore });
    await page.locator('.toast').waitFor();
  }
  await until('all pictures are drawn', () => page.evaluate(() => [...document.images].filter(({ hidden }) => !hidden).every(({ complete, naturalWidth, offsetParent }) => !offsetParent || (complete && naturalWidth > 0))));
  await page.screenshot({ path: join(FOLDER, file) });
  console.log(`docs/images/${file}`);
  const read = { sequence: (await system.api(42, '/api/v1/notifications?after=0')).head };
  await fetch(`${system.url}/api/v1/notifications/ack`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${system.token(42)}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(read),
  });
  await context.close();
}

/** Under a load that comes and goes, watched for two minutes and while the pictures are taken. */
async function takeDashboards() {
  const pages = [];
  for (const { file, from, ...options } of DASHBOARDS) {
    const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
    context.setDefaultTimeout(PATIENCE);
    pages.push({ file, from, page: await openAdmin(context, system) });
  }
  const users = await Promise.all([[system, 42], [system, 50], [system, 51], [other, 42], [other, 52]].map(async ([hub, user]) => {
    const context = await browser.newContext();
    return openAs(context, hub, user);
  }));
  await Promise.all([...pages.map(({ page }) => page), ...users].map(connected));
  await other.startWorker();
  const loaded = new AbortController();
  const load = loadUntil(loaded.signal);
  await new Promise((resolve) => setTimeout(resolve, WATCHED));
  for (const { file, from, page } of pages) {
    await page.bringToFront();
    await page.locator('#log-form').getByRole('button').click();
    await page.locator('#connections-form').getByRole('button').click();
    await page.evaluate((from) => {
      if (from) document.querySelector(from).scrollIntoView();
      else scrollTo(0, 0);
    }, from);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await page.screenshot({ path: join(FOLDER, file) });
    console.log(`docs/images/${file}`);
  }
  loaded.abort();
  await load;
}

async function loadUntil(signal) {
  const began = Date.now();
  for (let sent = 0; !signal.aborted; sent++) {
    if (sent % 50 === 0) await Promise.all([system, other].map((hub) => analyse(hub, 52, 'oat', { seed: 1000 + sent + hub.port, pustules: 20 })));
    const wave = 6 + 5 * Math.sin((Date.now() - began) / 6_000);
    await Promise.all([42, 50, 51].flatMap((user) => Array.from({ length: Math.ceil(wave / 3) }, (_, n) => system.completed(user, 1000 + sent * 10 + n))));
    await new Promise((resolve) => setTimeout(resolve, 90 + Math.random() * 40));
  }
}
