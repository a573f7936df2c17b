// The operators' page of one of two hubs that share a log and a Redis.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connected, launch, openAdmin, openAs } from './harness/browser.mjs';
import { Redis } from './harness/redis.mjs';
import { PATIENCE, System, until } from './harness/system.mjs';

test('connections are counted by hub, and a hub that does not answer is missed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tendril-hubs-'));
  const redis = await Redis.start();
  const shared = { hub: { DATA_DIR: folder, REDIS_URL: redis.url, UseRedis: 'true' }, workers: false };
  const [systems, browser] = [[], await launch()];
  try {
    for (let n = 0; n < 2; n++) systems.push(await System.start(shared));
    const [here, there] = systems;
    const newPage = async (open) => {
      const context = await browser.newContext({ viewport: { width: 1280, height: 1000 } });
      context.setDefaultTimeout(PATIENCE);
      const page = await open(context);
      await connected(page);
      return page;
    };
    const page = await newPage((context) => openAdmin(context, here));
    await newPage((context) => openAs(context, here, 42));
    await newPage((context) => openAs(context, there, 42));
    await newPage((context) => openAs(context, there, 43));

    const rows = page.locator('#nodes tr');
    const counts = async () => Promise.all((await rows.all()).map(async (row) => (await row.locator('.count').allInnerTexts()).join()));
    await until('all are counted', async () => (await counts()).join(' ') === '1,0,0,1 2,0,0,2');
    assert.match(await rows.first().innerText(), /this one/);
    assert.equal(await page.locator('#nodes-text').innerText(), '2 hubs of the same log.');

    there.freezeHub();
    await page.locator('#nodes-text').getByText('1 hub did not answer.').waitFor();
    assert.equal(await rows.count(), 1);
    there.thawHub();
    await until('it is back', async () => (await rows.count()) === 2);
    assert.deepEqual(page.faults, []);
  } finally {
    await browser.close();
    await Promise.all(systems.map((system) => system.stop()));
    await redis.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
