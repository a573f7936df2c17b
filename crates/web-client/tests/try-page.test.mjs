// docs/clients/try.html, opened from the disk as its reader does.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { launch } from './harness/browser.mjs';
import { PATIENCE, ROOT, System } from './harness/system.mjs';

test('it lists the events of a deployment', async () => {
  const [system, browser] = await Promise.all([System.start({ workers: false }), launch()]);
  try {
    await system.completed(42, 1);
    await system.completed(42, 2);
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE);
    const faults = [];
    page.on('pageerror', (error) => faults.push(String(error)));
    await page.goto(pathToFileURL(join(ROOT, 'docs/clients/try.html')).href);
    await page.getByLabel('Address').fill(system.url);
    await page.getByLabel('Token').fill('wrong');
    await page.getByRole('button', { name: 'Connect', exact: true }).click();
    await page.getByText('before anything was said').waitFor();

    await page.getByLabel('Token').fill(system.token(42));
    await page.getByLabel('Resume after').fill('1');
    await page.getByRole('button', { name: 'Connect', exact: true }).click();
    await page.getByRole('status').getByText('connected', { exact: true }).waitFor();
    await page.getByRole('cell', { name: 'answer to Resume' }).waitFor();
    const events = page.getByRole('cell', { name: 'ReceiveAnalysisCompleted' });
    assert.equal(await events.count(), 1);
    await system.completed(42, 3);
    await events.nth(1).waitFor();
    await page.getByRole('button', { name: 'Ping' }).click();
    await page.getByRole('cell', { name: 'Pong' }).waitFor();
    await page.getByRole('button', { name: 'Acknowledge the newest' }).click();
    await page.getByRole('cell', { name: 'answer to Acknowledge' }).waitFor();
    assert.equal((await system.api(42, '/api/v1/notifications/unread-count')).acknowledged, 3);
    await page.getByRole('button', { name: 'Disconnect' }).click();
    await page.getByRole('status').getByText('not connected').waitFor();
    assert.deepEqual(faults, []);
  } finally {
    await browser.close();
    await system.stop();
  }
});
