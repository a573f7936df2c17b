// axe-core over every view, in light and dark, wide and narrow.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { connected, launch, openAdmin, openAs, openPage, photo } from './harness/browser.mjs';
import { PATIENCE, System } from './harness/system.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let system;
let browser;
before(async () => {
  [system, browser] = await Promise.all([System.start(), launch()]);
});
after(async () => {
  await browser?.close();
  await system?.stop();
});

async function check(page, view) {
  // Animations hold colours that are on their way.
  await page.evaluate(() => Promise.all(document.getAnimations().filter(({ effect }) => effect.getTiming().iterations !== Infinity).map(({ finished }) => finished)));
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  const found = violations.map(({ id, impact, help, nodes }) => `${impact} ${id}: ${help}\n${nodes.map(({ html, failureSummary }) => `  ${html}\n  ${failureSummary}`).join('\n')}`);
  assert.deepEqual(found, [], `${view}:\n${found.join('\n')}`);
}

for (const colorScheme of ['light', 'dark']) {
  for (const [name, viewport] of [['wide', { width: 1180, height: 860 }], ['phone', { width: 390, height: 800 }]]) {
    test(`${colorScheme}, ${name}`, async () => {
      const context = await browser.newContext({ colorScheme, viewport, reducedMotion: 'reduce' });
      context.setDefaultTimeout(PATIENCE);
      const signedOut = await openPage(context, system);
      await signedOut.getByRole('button', { name: 'User 42' }).waitFor();
      await check(signedOut, 'signing in');
      await signedOut.close();

      const page = await openAs(context, system, `${colorScheme}-${name}`);
      await connected(page);
      await check(page, 'nothing sent yet');
      await page.setInputFiles('#photo', photo(5));
      await page.getByRole('button', { name: 'Analyse' }).click();
      await page.locator('#detail .ring').waitFor();
      await check(page, 'a result');
      await page.goto(`${system.url}/#`);
      await system.completed(`${colorScheme}-${name}`, 900);
      await page.locator('#badge:not([hidden])').waitFor();
      await page.locator('#bell').click();
      await check(page, 'the notifications');
      // Nothing sticks out sideways.
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'it scrolls sideways');
      await page.close();

      const admin = await openAdmin(context, system);
      await connected(admin);
      await admin.getByText('The database answers').waitFor();
      await admin.locator('#switches form').first().waitFor();
      await check(admin, 'the dashboard');
      assert.ok(await admin.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'the dashboard scrolls sideways');
      await context.close();
    });
  }
}
