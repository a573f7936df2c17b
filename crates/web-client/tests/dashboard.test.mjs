// The operators' page: figures under load, connections, the log, the switches.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PlantAnalysisApi } from 'tendril-client';
import { connected, launch, openAdmin, openAs, photo } from './harness/browser.mjs';
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

async function open(open) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 1000 } });
  context.setDefaultTimeout(PATIENCE);
  const page = await open(context);
  // Every question is answered with yes, and kept.
  page.questions = [];
  page.on('dialog', (dialog) => {
    page.questions.push(dialog.message());
    void dialog.accept();
  });
  await connected(page);
  return page;
}

const admin = () => open((context) => openAdmin(context, system));
const client = (user) => open((context) => openAs(context, system, user));
const tile = (page, name) => page.getByRole('region', { name, exact: true });

test('a load run is seen as it goes, and the log tells of each notification', async () => {
  const [page, user] = await Promise.all([admin(), client(42)]);
  await tile(page, 'Connections').locator('.now').getByText('1', { exact: true }).waitFor();
  let running = true;
  let posted = 0;
  const load = (async () => {
    while (running) {
      await Promise.all(Array.from({ length: 10 }, () => system.completed(42, 900 + posted++)));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  const rate = async () => Number((await tile(page, 'Notifications a second').locator('.now').innerText()).replace(/\D/g, ''));
  await until('the load shows', async () => (await rate()) >= 5);
  await until('delivery is timed', async () => /\d/.test(await tile(page, 'Delivery, 99 of 100').locator('.now').innerText()));
  running = false;
  await load;
  await until('the load is over', async () => (await rate()) === 0);

  await page.locator('#log-user').fill('42');
  await page.getByLabel('Analysis').fill('903');
  await page.getByLabel('Outcome').selectOption('confirmed');
  const show = page.locator('#log-form').getByRole('button');
  const row = page.locator('#log tr');
  await until('the one is listed', async () => {
    await show.click();
    return (await row.count()) === 1 && /ReceiveAnalysisCompleted\s+903/.test(await row.innerText());
  });
  assert.match(await row.innerText(), /confirmed/);
  assert.deepEqual([...page.faults, ...user.faults], []);
  await Promise.all([page, user].map((each) => each.context().close()));
});

test('a connection is closed, and one user\'s on all nodes', async () => {
  const [page, user] = await Promise.all([admin(), client(60)]);
  await page.locator('#connections-form').getByRole('button').click();
  await page.getByRole('button', { name: 'Close this connection of user 60' }).click();
  await page.getByText('1 connection closed.').waitFor();
  await user.locator('#connection').getByText('An operator closed this connection.').waitFor();
  await user.getByRole('button', { name: 'Try now' }).click();
  await connected(user);

  await page.getByLabel('User (empty').fill('60');
  await page.locator('#connections-form').getByRole('button').click();
  await page.getByRole('button', { name: 'Close all of them' }).click();
  await page.getByText('1 connection closed.').waitFor();
  assert.equal(page.questions.length, 2);
  assert.deepEqual([...page.faults, ...user.faults], []);
  await Promise.all([page, user].map((each) => each.context().close()));
});

test('who works is seen, and what went wrong', async () => {
  const page = await admin();
  // A worker, as the hub knows it: by what it asks.
  const call = async (path, body) => {
    const response = await fetch(`${system.url}/internal/jobs/${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Internal-Secret': system.internalSecret },
      body: JSON.stringify(body),
    });
    assert.equal(response.status, 200);
    return response.json();
  };
  const row = page.locator('#workers tr').filter({ hasText: 'field-worker' });
  const leased = call('lease', { workerId: 'field-worker', maxJobs: 1, waitSeconds: 30 });
  await row.getByText('waits for a job').waitFor();
  const api = new PlantAnalysisApi({ url: system.url, token: () => system.token(80) });
  const { analysisId } = await api.upload({ photo: new Blob([photo(10).buffer], { type: 'image/png' }), idempotencyKey: 'one' });
  const [{ jobId, token }] = (await leased).jobs;
  await row.getByText('working', { exact: true }).waitFor();
  await row.getByText('1 in work').waitFor();
  await page.getByText('1 worker, 1 working.').waitFor();

  await call(`${jobId}/retry`, { token, error: 'n8n answered <b>502</b>', userMessage: 'Later.', retryAfterSeconds: 600 });
  const error = page.locator('#setbacks li').filter({ hasText: `Analysis ${analysisId}: retried` });
  // What others wrote is text.
  await error.getByText('n8n answered <b>502</b>').waitFor();
  await row.getByText('silent').waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('live updates are turned off and on; clients poll meanwhile and are told of a notice', async () => {
  const [page, user] = await Promise.all([admin(), client(61)]);
  await page.getByRole('textbox', { name: 'Notice to everybody' }).fill('Back at noon');
  await page.getByRole('form', { name: 'Notice to everybody' }).getByRole('button').click();
  await user.locator('#notice').getByText('Back at noon').waitFor();

  const toggle = page.getByRole('form', { name: 'Live updates' });
  await toggle.getByRole('button', { name: 'Turn off' }).click();
  await toggle.getByText('off', { exact: true }).waitFor();
  await user.locator('#connection:not([data-status=connected])').waitFor();
  // The operators' own hub is not a client's.
  assert.equal(await page.locator('#connection').getAttribute('data-status'), 'connected');
  await system.completed(61, 950);
  await user.locator('#badge').getByText('1', { exact: true }).waitFor();
  assert.notEqual(await user.locator('#connection').getAttribute('data-status'), 'connected');

  await toggle.getByRole('button', { name: 'Turn on' }).click();
  await toggle.getByText('on', { exact: true }).waitFor();
  await user.locator('#connection').getByRole('button', { name: 'Try now' }).click({ timeout: 5_000 }).catch(() => undefined);
  await connected(user);
  assert.deepEqual([...page.faults, ...user.faults], []);
  await Promise.all([page, user].map((each) => each.context().close()));
});

test('what an operator is typing stays while another switch is turned, and the focus, too', async () => {
  const page = await admin();
  const isFocused = (locator) => locator.evaluate((element) => element === document.activeElement);
  const notice = page.getByRole('textbox', { name: 'Notice to everybody' });
  const before = await notice.inputValue();
  await notice.fill('Not said yet');
  const toggle = page.getByRole('form', { name: 'Unified stream' });
  const was = await toggle.locator('.state').innerText();
  const button = toggle.getByRole('button');
  for (const now of [was === 'on' ? 'off' : 'on', was]) {
    await button.focus();
    await page.keyboard.press('Enter');
    await toggle.getByText(now, { exact: true }).waitFor();
    assert.ok(await isFocused(button), 'the switch lost the focus');
    assert.equal(await notice.inputValue(), 'Not said yet');
  }
  // What was set is what is shown: without the spaces around it.
  await notice.fill(`  ${before || 'Soon'}  `);
  await page.keyboard.press('Enter');
  await until('it is set', async () => (await notice.inputValue()) === (before || 'Soon'));
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('an operator is told where a switch did not reach the other hubs', async () => {
  const page = await admin();
  // As a hub answers that has lost its Redis.
  await page.route('**/api/admin/switches', async (route) => {
    if (route.request().method() !== 'PATCH') return route.continue();
    const response = await route.fetch();
    return route.fulfill({ response, json: { ...(await response.json()), otherHubsTold: false } });
  });
  const form = page.getByRole('form', { name: 'Log filter' });
  await form.getByRole('button').click();
  await page.locator('#switches-error').getByText('the others were not told').waitFor();
  await page.unroute('**/api/admin/switches');
  await form.getByRole('button').click();
  await page.locator('#switches-error').waitFor({ state: 'hidden' });
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('after a connection is closed the focus is on the next one', async () => {
  const [page, ...users] = await Promise.all([admin(), client(71), client(72)]);
  await page.getByLabel('User (empty').fill('');
  await page.locator('#connections-form').getByRole('button').click();
  const closers = page.getByRole('button', { name: /^Close this connection of user 7[12]$/ });
  await until('both are listed', async () => (await closers.count()) === 2);
  await closers.first().focus();
  await page.keyboard.press('Enter');
  await page.getByText('1 connection closed.').waitFor();
  assert.match(await page.evaluate(() => document.activeElement.textContent), /^(Close|Show)$/);
  assert.deepEqual(page.faults, []);
  await Promise.all([page, ...users].map((each) => each.context().close()));
});

test('a hub that does not tell its health is asked one question at a time', async () => {
  const context = await browser.newContext();
  context.setDefaultTimeout(PATIENCE);
  const asking = { now: 0, most: 0, all: 0 };
  await context.route('**/health', () => {
    asking.all += 1;
    asking.now += 1;
    asking.most = Math.max(asking.most, asking.now);
    // It is never answered.
  });
  context.on('requestfailed', (request) => {
    if (request.url().endsWith('/health')) asking.now -= 1;
  });
  const page = await openAdmin(context, system);
  await connected(page);
  await page.getByText('The hub does not answer.').waitFor();
  await until('it is asked again', () => asking.all >= 2);
  assert.equal(asking.most, 1);
  await context.close();
});

test('whoever is no operator is turned away, and a hub that is away is said to be', async () => {
  const context = await browser.newContext();
  context.setDefaultTimeout(PATIENCE);
  const page = await openAdmin(context, system, { role: undefined });
  await page.getByText('The hub does not accept this token for the role Admin.').waitFor();
  await page.getByRole('button', { name: 'Operator 1' }).click();
  await connected(page);
  await system.killHub();
  await page.getByText('The hub does not answer.').waitFor();
  await system.startHub();
  await connected(page);
  await page.getByText('The database answers').waitFor();
  assert.deepEqual(page.faults, []);
  await context.close();
});
