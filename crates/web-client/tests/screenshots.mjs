// Takes the pictures for docs/images of the real system: node tests/screenshots.mjs
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { drawLeaf } from '../../../scripts/demo/leaf.mjs';
import { connected, launch, openAdmin, openAs } from './harness/browser.mjs';
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
  { file: 'admin-phone.png', colorScheme: 'light', viewport: { width: 390, height: 800 }, deviceScaleFactor: 2 },
];

mkdirSync(FOLDER, { recursive: true });
const [system, browser] = await Promise.all([System.start(), launch()]);
try {
  await send();
  for (const view of VIEWS) await take(view);
  await takeDashboards();
} finally {
  await browser.close();
  await system.stop();
}

async function send() {
  for (const { cropType, ...leaf } of SENT) {
    const form = new FormData();
    form.set('cropType', cropType);
    form.set('image', new Blob([drawLeaf({ ...leaf, width: 1200, height: 720 })]));
    const headers = { Authorization: `Bearer ${system.token(42)}` };
    const response = await fetch(`${system.url}/api/v1/plantanalyses/analyze-async`, { method: 'POST', headers, body: form });
    const { analysisId } = await response.json();
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

/** Under a load that comes and goes, watched for a minute. */
async function takeDashboards() {
  const pages = [];
  for (const { file, ...options } of DASHBOARDS) {
    const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
    context.setDefaultTimeout(PATIENCE);
    pages.push({ file, page: await openAdmin(context, system) });
  }
  const users = await Promise.all([42, 50, 51].map(async (user) => {
    const context = await browser.newContext();
    return openAs(context, system, user);
  }));
  await Promise.all([...pages.map(({ page }) => page), ...users].map(connected));
  const began = Date.now();
  for (let sent = 0; Date.now() - began < 60_000; sent++) {
    const wave = 6 + 5 * Math.sin((Date.now() - began) / 6_000);
    await Promise.all([42, 50, 51].flatMap((user) => Array.from({ length: Math.ceil(wave / 3) }, (_, n) => system.completed(user, 1000 + sent * 10 + n))));
    await new Promise((resolve) => setTimeout(resolve, 90 + Math.random() * 40));
  }
  for (const { file, page } of pages) {
    await page.bringToFront();
    await page.locator('#log-form').getByRole('button').click();
    await page.evaluate(() => scrollTo(0, 0));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await page.screenshot({ path: join(FOLDER, file) });
    console.log(`docs/images/${file}`);
  }
}
