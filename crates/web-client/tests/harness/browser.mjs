// Debian's Chromium, driven by Playwright. One for each test file.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { drawLeaf } from '../../../../scripts/demo/leaf.mjs';
import { ROOT } from './system.mjs';

const PROGRAM = process.env.CHROMIUM ?? '/usr/bin/chromium';

export function launch() {
  return chromium.launch({
    executablePath: PROGRAM,
    // As root, and in containers, Chromium's own sandbox cannot be made. It only visits the hub.
    args: [
      '--no-sandbox',
      '--disable-dev-shm-usage',
      // Pages that Playwright gives come from nowhere, and may open no WebSocket to this machine.
      ...(process.env.PAGES_FROM_DIST ? ['--disable-features=LocalNetworkAccessChecks'] : []),
    ],
  });
}

/** A photo that nobody has sent before. */
export function photo(seed, size = { width: 480, height: 320 }) {
  return { name: 'leaf.png', mimeType: 'image/png', buffer: drawLeaf({ ...size, seed }) };
}

/** Opens the page as a user signed in, and so are all that the context opens later. */
export async function openAs(context, system, user, path = '/') {
  // Once: signing out must last.
  await context.addInitScript((token) => {
    if (!sessionStorage.getItem('signed-in')) localStorage.setItem('tendril.token', token);
    sessionStorage.setItem('signed-in', 'yes');
  }, system.token(user));
  return openPage(context, system, path);
}

/** Opens the operators' page, signed in. */
export async function openAdmin(context, system, claims = { role: 'Admin' }) {
  await context.addInitScript((token) => {
    if (!sessionStorage.getItem('signed-in-admin')) localStorage.setItem('tendril.admin-token', token);
    sessionStorage.setItem('signed-in-admin', 'yes');
  }, system.token(1, claims));
  return openPage(context, system, '/admin');
}

/** What goes wrong in the page is in its `faults`. */
export async function openPage(context, system, path = '/') {
  const page = await context.newPage();
  page.faults = [];
  page.on('pageerror', (error) => page.faults.push(String(error)));
  page.on('console', (message) => {
    // What the network does is the tests' own doing.
    if (message.type() === 'error' && !/net::ERR|Failed to load resource|WebSocket connection/.test(message.text())) {
      page.faults.push(message.text());
    }
  });
  if (process.env.PAGES_FROM_DIST) await takePagesFromDist(page);
  await page.goto(system.url + path);
  return page;
}

/** For who works on the pages: npm run build is enough then, the hub need not be built again. */
async function takePagesFromDist(page) {
  const dist = join(ROOT, 'crates/web-client/dist');
  await page.route(/^[^?#]*:\d+\/(admin)?(#.*)?$/, async (route) => {
    const name = route.request().url().includes('/admin') ? 'admin.html' : 'index.html';
    const html = await readFile(join(dist, name), 'utf8');
    await route.fulfill({ response: await route.fetch(), body: html.replace('data-sign-in="token"', 'data-sign-in="development"') });
  });
  await page.route('**/assets/*', (route) => route.fulfill({ path: join(dist, new URL(route.request().url()).pathname) }));
}

export const connected = (page) => page.locator('#connection[data-status=connected]').waitFor();

/** Gives what tells the titles of all toasts that a page has shown from now on, also of those that went away. */
export async function recordToasts(page) {
  await page.evaluate(() => {
    window.toasts = [];
    new MutationObserver((changes) => {
      for (const { addedNodes } of changes) for (const node of addedNodes) window.toasts.push(node.firstChild.textContent);
    }).observe(document.getElementById('toasts'), { childList: true });
  });
  return () => page.evaluate(() => window.toasts);
}
