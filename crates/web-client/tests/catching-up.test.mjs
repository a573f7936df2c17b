// The web client as it opens: what waited, what fails then, and where the focus stays.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connected, launch, openAs, photo } from './harness/browser.mjs';
import { PATIENCE, System, until } from './harness/system.mjs';

let system;
let browser;

before(async () => {
  [system, browser] = await Promise.all([System.start({ workers: false }), launch()]);
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

/** Counts what the pages of a context ask of the hub, and what the hub sends a page. */
async function watch(tabs) {
  const asked = { single: 0 };
  tabs.on('request', (request) => {
    if (/\/plantanalyses\/\d+$/.test(request.url())) asked.single += 1;
  });
  await tabs.addInitScript(() => {
    window.completed = 0;
    window.WebSocket = class extends WebSocket {
      constructor(...about) {
        super(...about);
        this.addEventListener('message', ({ data }) => (window.completed += data.split('"ReceiveAnalysisCompleted"').length - 1));
      }
    };
  });
  return asked;
}

const sentTo = (page) => page.evaluate(() => window.completed);

const acknowledged = async (user) => (await system.api(user, '/api/v1/notifications/unread-count')).acknowledged;

test('everything that waits is sent to the page, as the hub takes the rest for delivered', async () => {
  for (let id = 1; id <= 150; id++) await system.completed(60, id);
  const tabs = await context();
  const asked = await watch(tabs);
  const page = await openAs(tabs, system, 60);
  await page.locator('.toast').getByText('150 new notifications').waitFor();
  assert.equal(await sentTo(page), 150);
  assert.equal(asked.single, 0, 'analyses were loaded one by one');
  assert.equal(await page.locator('#entries li').count(), 30);
  // The oldest were never shown: looking at the first that is left acknowledges nothing.
  await page.evaluate(() => (location.hash = 'analysis/51'));
  await until('it is counted', async () => (await page.title()) === '(149) Tendril');
  assert.equal(await acknowledged(60), 0);
  assert.deepEqual(page.faults, []);
  await tabs.close();
});

test('questions that fail while the page opens are asked again', async () => {
  for (let id = 1; id <= 30; id++) await system.completed(61, id);
  const tabs = await context();
  const first = await openAs(tabs, system, 61);
  await first.locator('.toast').getByText('30 new notifications').waitFor();
  await first.locator('#bell').click();
  await first.getByRole('button', { name: 'Mark all as read' }).click();
  await until('the hub knows', async () => (await acknowledged(61)) === 30);
  await first.setInputFiles('#photo', photo(7));
  await first.getByRole('button', { name: 'Analyse' }).click();
  await first.locator('#list [data-analysis]').waitFor();
  await system.completed(61, 31);
  await first.close();

  await watch(tabs);
  const asked = { count: 0, list: 0 };
  await tabs.route('**/api/v1/notifications/unread-count', (route) => {
    asked.count += 1;
    // The first is never answered, as in a tunnel.
    if (asked.count === 1) return undefined;
    return asked.count === 2 ? route.abort() : route.continue();
  });
  await tabs.route('**/api/v1/plantanalyses?limit=*', (route) => {
    asked.list += 1;
    return asked.list === 1 ? route.abort() : route.continue();
  });
  const page = await openAs(tabs, system, 61);
  await page.locator('#list-error').getByText('The hub cannot be reached.').waitFor();
  await connected(page);
  await page.locator('.toast').getByText('1 new notification.').waitFor();
  await page.locator('#list [data-analysis]').waitFor();
  assert.equal(await page.locator('#list-error').isVisible(), false);
  assert.equal(await sentTo(page), 1, 'what was seen long ago was sent again');
  assert.deepEqual(page.faults, []);
  await tabs.close();
});

test('notifications of other kinds of jobs do not keep the others unread', async () => {
  const tabs = await context();
  const page = await openAs(tabs, system, 62);
  await connected(page);
  await system.completed(62, 801);
  await system.notify({ event: 'ReportReady', userId: 62, payload: { reportId: 9 } });
  await system.completed(62, 802);
  for (const id of [801, 802]) {
    await page.locator('.toast').getByText(`Wheat #${id}`).waitFor();
    await page.evaluate((hash) => (location.hash = hash), `analysis/${id}`);
  }
  await until('the hub knows', async () => (await acknowledged(62)) === 3);
  await until('none is counted', async () => (await page.title()) === 'Tendril');
  assert.deepEqual(page.faults, []);
  await tabs.close();
});

test('what is of another kind is not counted once everything has come', async () => {
  const tabs = await context();
  const page = await openAs(tabs, system, 64);
  await connected(page);
  await system.completed(64, 805);
  await system.notify({ event: 'ReportReady', userId: 64, payload: { reportId: 9 } });
  await page.locator('#badge').getByText('1', { exact: true }).waitFor();
  await page.evaluate(() => (location.hash = 'analysis/805'));
  await until('the hub knows', async () => (await acknowledged(64)) === 1);
  await page.locator('#badge').waitFor({ state: 'hidden' });
  // The hub counts the report, of which this page never hears.
  const counted = page.waitForResponse(/unread-count/);
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  assert.equal((await (await counted).json()).unread, 1);
  // Once another question is answered, the page has dealt with that one.
  await page.evaluate(() => fetch('/health').then((response) => response.text()));
  assert.equal(await page.locator('#badge').isVisible(), false);
  await system.completed(64, 806);
  await page.locator('#badge').getByText('1', { exact: true }).waitFor();

  await page.evaluate(() => (location.hash = 'analysis/806'));
  await until('the hub knows', async () => (await acknowledged(64)) === 3);
  await system.notify({ event: 'ReportReady', userId: 64, payload: { reportId: 10 } });
  await page.reload();
  await connected(page);
  assert.equal(await page.title(), 'Tendril');
  assert.equal(await page.locator('#badge').isVisible(), false);
  assert.deepEqual(page.faults, []);
  await tabs.close();
});

test('what the user saw is acknowledged again where the first time is lost', async () => {
  const tabs = await context();
  await tabs.addInitScript(() => {
    // The page's clock, faster.
    const real = window.setInterval;
    window.setInterval = (tick, every, ...more) => real(tick, every === 30_000 ? 300 : every, ...more);
    window.lost = 0;
    window.WebSocket = class extends WebSocket {
      send(data) {
        if (window.lost === 0 && data.includes('"Acknowledge"')) window.lost += 1;
        else super.send(data);
      }
    };
  });
  const page = await openAs(tabs, system, 65);
  await connected(page);
  await system.completed(65, 811);
  await page.locator('.toast').getByText('Wheat #811').waitFor();
  await page.evaluate(() => (location.hash = 'analysis/811'));
  await until('the hub knows', async () => (await acknowledged(65)) === 1);
  assert.equal(await page.evaluate(() => window.lost), 1);
  assert.deepEqual(page.faults, []);
  await tabs.close();
});

test('the focus stays where it is while things change', async () => {
  const tabs = await context();
  const page = await openAs(tabs, system, 63);
  await connected(page);
  await page.setInputFiles('#photo', photo(8));
  await page.getByRole('button', { name: 'Analyse' }).click();
  await page.locator('#detail progress').waitFor();
  const analysisId = Number(await page.locator('#list [data-analysis]').getAttribute('data-analysis'));
  const step = (percent) => system.notify({
    type: 'analysis.progress',
    userId: 63,
    notification: { analysisId, userId: 63, status: 'Processing', percent, stage: 'analysing', message: `Step ${percent}`, timestamp: new Date().toISOString() },
  });
  const isFocused = (locator) => locator.evaluate((element) => element === document.activeElement);

  await page.setViewportSize({ width: 390, height: 800 });
  const back = page.locator('#detail .back');
  await back.focus();
  await step(20);
  await page.locator('#detail').getByText('Step 20').waitFor();
  assert.ok(await isFocused(back), 'the link back lost it');

  await system.completed(63, 970);
  await page.locator('#bell').click();
  const entry = page.locator('#entries a').filter({ hasText: '#970' });
  await entry.focus();
  await step(40);
  await page.locator('#detail').getByText('Step 40').waitFor();
  await system.completed(63, 971);
  await page.locator('#entries a').filter({ hasText: '#971' }).waitFor();
  assert.ok(await isFocused(entry), 'the notification lost it');
  await page.getByRole('button', { name: 'Mark all as read' }).focus();
  await page.keyboard.press('Enter');
  await until('all are read', async () => (await page.locator('#entries .unread').count()) === 0);
  assert.ok(await isFocused(page.locator('#bell')), 'the button that went away took it along');
  assert.deepEqual(page.faults, []);
  await tabs.close();
});
