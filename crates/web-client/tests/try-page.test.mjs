// docs/clients/try.html, as the hub serves it and as a file of its own.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { launch } from './harness/browser.mjs';
import { freePort, PATIENCE, ROOT, System } from './harness/system.mjs';

const ways = {
  'the hub': async (page, system) => {
    await page.goto(`${system.url}/try`);
    assert.equal(await page.getByLabel('Address').inputValue(), system.url);
  },
  'a server on the developer\'s machine': async (page, system) => {
    const html = await readFile(join(ROOT, 'docs/clients/try.html'));
    const server = createServer((_, response) => response.setHeader('Content-Type', 'text/html').end(html));
    const port = await freePort();
    await new Promise((resolve) => server.listen(port, resolve));
    await page.goto(`http://localhost:${port}/try.html`);
    server.close();
    await page.getByLabel('Address').fill(system.url);
  },
};

for (const [from, open] of Object.entries(ways)) test(`it lists the events of a deployment, served by ${from}`, async () => {
  const [system, browser] = await Promise.all([System.start({ workers: false }), launch()]);
  try {
    await system.completed(42, 1);
    await system.completed(42, 2);
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE);
    const faults = [];
    page.on('pageerror', (error) => faults.push(String(error)));
    page.on('console', (message) => /Content Security Policy/.test(message.text()) && faults.push(message.text()));
    await open(page, system);
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
