// The example with React, from another origin, against the real hub.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { build } from 'esbuild';
import { launch, photo } from './harness/browser.mjs';
import { freePort, PATIENCE, ROOT, System, until } from './harness/system.mjs';

const DIST = join(ROOT, 'crates/web-client/react-example/dist');
const TYPES = { html: 'text/html', js: 'text/javascript' };

test('it connects, sends a photo, shows the result, and comes back after the hub', async () => {
  const port = await freePort();
  const server = createServer(async ({ url }, response) => {
    const file = url === '/' ? 'index.html' : url.slice(1);
    const body = await readFile(join(DIST, file)).catch(() => null);
    response.writeHead(body ? 200 : 404, { 'Content-Type': TYPES[file.split('.').at(-1)] ?? 'text/plain' });
    response.end(body ?? '');
  });
  await new Promise((resolve) => server.listen(port, resolve));
  const origin = `http://localhost:${port}`;
  const [system, browser] = await Promise.all([System.start({ hub: { Cors__AllowedOrigins__0: origin } }), launch()]);
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE);
    const faults = [];
    page.on('pageerror', (error) => faults.push(String(error)));
    await page.goto(origin);
    await page.getByLabel('Hub').fill(system.url);
    await page.getByLabel('User').fill('42');
    await page.getByLabel('Token').fill(system.token(42));
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByRole('status').getByText('connected', { exact: true }).waitFor();
    await page.getByLabel('Photo').setInputFiles(photo(6));
    const ended = page.getByRole('list', { name: 'Ended' }).getByRole('listitem');
    await ended.first().waitFor();
    assert.equal(await page.getByRole('list', { name: 'Under way' }).getByRole('listitem').count(), 0);

    await system.killHub();
    await page.getByRole('status').getByText(/^reconnecting/).waitFor();
    await system.startHub();
    await page.getByRole('status').getByText('connected', { exact: true }).waitFor();
    await system.completed(42, 900);
    await until('both are listed', async () => (await ended.count()) === 2);
    assert.match(await ended.first().innerText(), /#900 Leaf rust/);
    await page.getByRole('button', { name: 'Mark all as read' }).click();
    await until('the hub knows', async () => (await system.api(42, '/api/v1/notifications/unread-count')).unread === 0);
    assert.deepEqual(faults, []);
  } finally {
    await browser.close();
    server.close();
    await system.stop();
  }
});

test('another user in the same component has a log of their own', async () => {
  const { outputFiles } = await build({
    stdin: {
      resolveDir: join(ROOT, 'crates/web-client/react-example'),
      contents: `
        import { createElement, useState } from 'react';
        import { createRoot } from 'react-dom/client';
        import { usePlantAnalysis } from 'tendril-client/react';
        function Heard() {
          const [session, setSession] = useState(window.session);
          window.signIn = setSession;
          const { connection, notifications } = usePlantAnalysis({ ...session, token: () => session.token });
          return createElement('p', { role: 'status' }, session.user, ' ', connection.status, ...notifications.map(({ analysisId }) => ' #' + analysisId));
        }
        createRoot(document.body).render(createElement(Heard));`,
    },
    bundle: true,
    write: false,
    format: 'esm',
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  const port = await freePort();
  const server = createServer(({ url }, response) => {
    response.writeHead(200, { 'Content-Type': url === '/' ? 'text/html' : 'text/javascript' });
    response.end(url === '/' ? '<!doctype html><title>React</title>' : outputFiles[0].text);
  });
  await new Promise((resolve) => server.listen(port, resolve));
  const origin = `http://localhost:${port}`;
  const [system, browser] = await Promise.all([System.start({ workers: false, hub: { Cors__AllowedOrigins__0: origin } }), launch()]);
  try {
    for (const id of [1, 2, 3]) await system.completed(42, id);
    await system.completed(43, 9);
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE);
    await page.goto(origin);
    const sessionOf = (user) => ({ url: system.url, user, token: system.token(user) });
    await page.evaluate((session) => (window.session = session), sessionOf(42));
    await page.addScriptTag({ type: 'module', url: `${origin}/main.js` });
    await page.getByText('42 connected #3 #2 #1', { exact: true }).waitFor();
    // Its position in the one log, 3, is none in the other, which has one entry.
    await page.evaluate((session) => window.signIn(session), sessionOf(43));
    await page.getByText('43 connected #9', { exact: true }).waitFor();
  } finally {
    await browser.close();
    server.close();
    await system.stop();
  }
});
