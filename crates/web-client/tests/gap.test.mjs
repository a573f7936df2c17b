// The web client after more was missed than the hub keeps.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PlantAnalysisApi } from 'tendril-client';
import { connected, launch, openAs, photo, recordToasts } from './harness/browser.mjs';
import { Network } from './harness/network.mjs';
import { PATIENCE, System, until } from './harness/system.mjs';

/** Of each user, as an option of the hub. */
const KEPT = 3;

let system;
let browser;
before(async () => {
  [system, browser] = await Promise.all([System.start({ hub: { Notifications__MaxPerUser: String(KEPT) } }), launch()]);
});
after(async () => {
  await browser?.close();
  await system?.stop();
});

async function context() {
  const made = await browser.newContext({ viewport: { width: 1180, height: 860 } });
  made.setDefaultTimeout(PATIENCE);
  return made;
}

const sequences = async (user) => (await system.api(user, '/api/v1/notifications?after=0')).items.map(({ sequence }) => sequence);

/** What is no longer kept is deleted when a hub starts, and every few minutes. */
async function forgetOldEntries(user) {
  await system.stopHub();
  await system.startHub();
  await until('the hub forgot', async () => (await sequences(user)).length <= KEPT);
}

const listed = async (page) => (await page.locator('#entries a strong').allInnerTexts()).map((name) => name.replace(/^Unread:\s+/, ''));

test('a page that was away for long loads what is there, and goes on from there', async () => {
  const network = await Network.to(system.port);
  const tabs = await context();
  const page = await openAs(tabs, { url: network.url, token: (...about) => system.token(...about) }, 70);
  await connected(page);
  await system.completed(70, 900);
  await page.locator('.toast').getByText('Wheat #900').waitFor();
  const toasts = await recordToasts(page);

  network.freeze();
  const api = new PlantAnalysisApi({ url: system.url, token: () => system.token(70) });
  const { analysisId } = await api.upload({ photo: new Blob([photo(20).buffer], { type: 'image/png' }), cropType: 'barley', idempotencyKey: 'away' });
  await until('it is done', async () => (await api.analysis(analysisId)).status === 'Completed');
  for (let id = 901; id <= 905; id++) await system.completed(70, id);
  await forgetOldEntries(70);
  assert.deepEqual(await sequences(70), [5, 6, 7]);
  assert.equal(await page.locator('#list [data-analysis]').count(), 0);
  network.thaw();

  // Its end is told by no entry that is left: the list itself was loaded anew.
  await page.locator(`#list [data-analysis="${analysisId}"] .score`).waitFor();
  await connected(page);
  await page.locator('#bell').click();
  await until('what is kept is listed', async () => (await listed(page)).join() === 'Wheat #905,Wheat #904,Wheat #903,Wheat #900');
  // What was missed is no news now, and none of it is told as if it were.
  assert.deepEqual(await toasts(), []);

  await system.completed(70, 906);
  await until('the next is told', async () => (await toasts()).includes('Wheat #906 is done'));
  assert.equal(await page.title(), '(8) Tendril');
  await page.getByRole('button', { name: 'Mark all as read' }).click();
  await until('none is counted', async () => (await page.title()) === 'Tendril');
  await until('the hub knows', async () => (await api.unreadCount()).acknowledged === 8);
  assert.deepEqual(page.faults, []);
  await tabs.close();
  await network.close();
});

test('a page that opens after long has what is kept, and says how much waited', async () => {
  for (let id = 1; id <= 6; id++) await system.completed(71, id);
  await forgetOldEntries(71);
  const tabs = await context();
  const page = await openAs(tabs, system, 71);
  await connected(page);
  await page.locator('#bell').click();
  await until('what is kept is listed', async () => (await listed(page)).join() === 'Wheat #6,Wheat #5,Wheat #4');
  assert.equal(await page.title(), '(6) Tendril');
  await page.getByRole('button', { name: 'Mark all as read' }).click();
  await until('none is counted', async () => (await page.title()) === 'Tendril');
  assert.deepEqual(page.faults, []);

  // Nothing is missed by who comes back then.
  await page.reload();
  await connected(page);
  assert.equal(await page.title(), 'Tendril');
  await system.completed(71, 7);
  await page.locator('.toast').getByText('Wheat #7').waitFor();
  assert.deepEqual(page.faults, []);
  await tabs.close();
});
