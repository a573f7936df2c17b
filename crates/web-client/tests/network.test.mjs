// The web client while the hub dies, and while the network is away.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connected, launch, openAs, openPage, photo, recordToasts } from './harness/browser.mjs';
import { Network } from './harness/network.mjs';
import { PATIENCE, System, until } from './harness/system.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

async function context() {
  const made = await browser.newContext({ viewport: { width: 1180, height: 860 } });
  made.setDefaultTimeout(PATIENCE);
  return made;
}

test('the hub is killed and started again under the page', async () => {
  const system = await System.start();
  const tabs = await context();
  try {
    const page = await openAs(tabs, system, 42);
    await connected(page);
    const toasts = await recordToasts(page);
    await system.completed(42, 900);
    await page.locator('.toast').getByText('Wheat #900').waitFor();

    await system.killHub();
    await page.locator('#connection[data-status=reconnecting]').waitFor();
    await page.locator('#connection-countdown').getByText(/in \d+ s/).waitFor();
    // Sent while there is nobody to take it: it waits for the hub.
    await page.setInputFiles('#photo', photo(4));
    await page.getByRole('button', { name: 'Analyse' }).click();
    await page.getByText('It is sent as soon as there is one.').waitFor();
    await system.startHub();
    await connected(page);
    await page.locator('#detail .ring').waitFor();
    await system.completed(42, 901);
    await page.locator('.toast').getByText('Wheat #901').waitFor();
    assert.deepEqual(await toasts(), ['Wheat #900 is done', 'Analysis #1 is done', 'Wheat #901 is done']);
    assert.deepEqual(page.faults, []);
  } finally {
    await tabs.close();
    await system.stop();
  }
});

test('ten seconds without a network, and a result meanwhile', async () => {
  const system = await System.start({ workers: false });
  const network = await Network.to(system.port);
  const tabs = await context();
  try {
    const page = await openAs(tabs, { ...system, url: network.url, token: (user) => system.token(user) }, 42);
    await connected(page);
    const toasts = await recordToasts(page);
    await system.completed(42, 900);
    await page.locator('.toast').getByText('Wheat #900').waitFor();

    network.freeze();
    await tabs.setOffline(true);
    await page.locator('#connection[data-status=offline]').waitFor();
    for (const id of [901, 902]) await system.completed(42, id);
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    assert.equal(await page.locator('#connection').getAttribute('data-status'), 'offline');
    assert.deepEqual(await toasts(), ['Wheat #900 is done']);

    network.thaw();
    await tabs.setOffline(false);
    await connected(page);
    await until('both came', async () => (await toasts()).length >= 3);
    await system.completed(42, 903);
    await until('the next came', async () => (await toasts()).length >= 4);
    // Each once, in order.
    assert.deepEqual(await toasts(), [900, 901, 902, 903].map((id) => `Wheat #${id} is done`));
    await page.locator('#badge').getByText('4', { exact: true }).waitFor();
    assert.deepEqual(page.faults, []);
  } finally {
    await tabs.close();
    await network.close();
    await system.stop();
  }
});

test('one connection too many is told why, and comes in when there is room', async () => {
  const system = await System.start({ workers: false, hub: { SignalR__MaxConnectionsPerUser: '1' } });
  const tabs = await context();
  try {
    const first = await openAs(tabs, system, 42);
    await connected(first);
    const second = await openPage(tabs, system);
    await second.locator('#connection').getByText('You are connected from 1 devices already').waitFor();
    await first.close();
    await second.getByRole('button', { name: 'Try now' }).click();
    await connected(second);
    assert.deepEqual(second.faults, []);
  } finally {
    await tabs.close();
    await system.stop();
  }
});
