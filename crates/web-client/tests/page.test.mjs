// The web client as a person uses it: real Chromium, real hub, real worker.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connected, launch, openAs, openPage, photo, recordToasts } from './harness/browser.mjs';
import { PATIENCE, System, until } from './harness/system.mjs';

let system;
let browser;

before(async () => {
  [system, browser] = await Promise.all([System.start(), launch()]);
});
after(async () => {
  await browser?.close();
  await system?.stop();
});

async function context(options = {}) {
  const made = await browser.newContext({ viewport: { width: 1180, height: 860 }, ...options });
  made.setDefaultTimeout(PATIENCE);
  return made;
}

test('it is drawn before its script has run, and a second visit costs one question', { skip: Boolean(process.env.PAGES_FROM_DIST) }, async (t) => {
  const tabs = await context();
  const page = await openPage(tabs, system);
  await page.getByRole('button', { name: 'User 42' }).waitFor();
  const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
  t.diagnostic(`first paint after ${Math.round(paint)} ms on this machine`);
  assert.ok(paint > 0);
  await page.reload();
  await page.getByRole('button', { name: 'User 42' }).waitFor();
  const transferred = await page.evaluate(() => performance.getEntriesByType('resource').map(({ transferSize }) => transferSize));
  assert.deepEqual(transferred.filter((size) => size > 0), [], 'files were sent again');
  await tabs.close();
});

test('from signing in to the result, with a second tab of the same user', async () => {
  const tabs = await context();
  const page = await openPage(tabs, system);
  await page.getByRole('button', { name: 'User 42' }).click();
  await connected(page);
  await page.getByText('No analysis yet').waitFor();
  const second = await openPage(tabs, system);
  await connected(second);
  const toasts = await Promise.all([page, second].map(recordToasts));

  await page.setInputFiles('#photo', photo(1));
  await page.getByLabel('Crop').fill('wheat');
  await page.evaluate(() => {
    // Everything that the progress of the result showed.
    const seen = (window.seen = []);
    new MutationObserver(() => {
      const bar = document.querySelector('#detail progress');
      if (bar && seen.at(-1) !== bar.value) seen.push(bar.value);
    }).observe(document.getElementById('detail'), { subtree: true, childList: true });
  });
  await page.getByRole('button', { name: 'Analyse' }).click();

  // The tab that is at the analysis shows its result.
  await page.locator('#detail .ring').waitFor();
  assert.ok((await page.evaluate(() => window.seen)).some((value) => value > 0), 'no progress was shown');
  const overlay = page.locator('#detail .picture img');
  await until('the overlay is drawn', () => overlay.evaluate((image) => image.complete && image.naturalWidth > 0));
  assert.match(await overlay.getAttribute('src'), /\/overlay\?/);
  await page.getByRole('button', { name: 'Photo', exact: true }).click();
  assert.match(await overlay.getAttribute('src'), /\/image\?/);
  await until('it is told', async () => (await toasts[0]()).includes('Wheat #1 is done'));
  assert.match(await page.locator('#list [data-analysis="1"] .score').innerText(), /^\d+$/);

  // The other has it in its list by itself, and was told.
  await second.locator('#list [data-analysis="1"] .score').waitFor();
  await until('it is told in the other', async () => (await toasts[1]()).includes('Wheat #1 is done'));
  assert.deepEqual([...page.faults, ...second.faults], []);
  await tabs.close();
});

test('what was not looked at is counted until it is, in every tab', async () => {
  const tabs = await context();
  const page = await openAs(tabs, system, 50);
  await connected(page);
  await system.completed(50, 900);
  await page.locator('#badge').getByText('1', { exact: true }).waitFor();
  assert.equal(await page.title(), '(1) Tendril');
  await system.completed(50, 901, { cropType: null });
  await page.locator('#badge').getByText('2', { exact: true }).waitFor();

  // A tab that comes later knows them without having been told of each.
  const late = await openPage(tabs, system);
  await late.locator('.toast').getByText('2 new notifications').waitFor();
  assert.equal(await late.title(), '(2) Tendril');

  await page.getByRole('button', { name: 'Notifications, 2 unread' }).click();
  assert.equal(await page.locator('#entries .unread').count(), 2);
  await page.getByRole('button', { name: 'Mark all as read' }).click();
  await until('both tabs have none', async () => (await page.title()) === 'Tendril' && (await late.title()) === 'Tendril');
  await until('the hub knows', async () => (await system.api(50, '/api/v1/notifications/unread-count')).unread === 0);
  assert.deepEqual([...page.faults, ...late.faults], []);
  await tabs.close();
});

test('a hidden tab tells by a notification of the system, once', async () => {
  const tabs = await context({ permissions: ['notifications'] });
  await tabs.addInitScript(() => {
    // Chromium's own, watched: what it showed, and what it closed since.
    window.notifications = [];
    window.Notification = class extends Notification {
      constructor(...about) {
        super(...about);
        const told = { notification: this, title: this.title, body: this.body, tag: this.tag, shown: false, closed: false };
        this.addEventListener('show', () => (told.shown = true));
        this.addEventListener('close', () => (told.closed = true));
        window.notifications.push(told);
      }
    };
    window.told = () => window.notifications.map(({ notification, ...told }) => told);
    // Playwright's pages are all visible at once.
    window.hide = (hidden) => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
      Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => (hidden ? 'hidden' : 'visible') });
      document.dispatchEvent(new Event('visibilitychange'));
    };
  });
  const page = await openAs(tabs, system, 51);
  const other = await openPage(tabs, system);
  const both = [page, other];
  await Promise.all(both.map(connected));
  const told = async () => (await Promise.all(both.map((tab) => tab.evaluate(() => window.told())))).flat();

  // Looked at: a toast is enough, also for the tab behind it.
  await page.evaluate(() => window.hide(true));
  await system.completed(51, 910);
  for (const tab of both) await tab.locator('.toast').getByText('Wheat #910').waitFor();
  assert.deepEqual(await told(), []);

  await other.evaluate(() => window.hide(true));
  await until('no tab is looked at', () => page.evaluate(async () => (await navigator.locks.query()).held.length === 0));
  await system.completed(51, 911);
  // Both tabs may show it: by its tag the system makes them one.
  const standing = async () => (await told()).filter(({ shown, closed }) => shown && !closed);
  await until('it is shown', async () => (await told()).length === 2 && (await standing()).length === 1);
  for (const { title, body, tag } of await told()) {
    assert.equal(title, 'Wheat #911');
    assert.match(body, /Leaf rust · health 62 of 100/);
    assert.equal(tag, 'tendril-911');
  }

  // Without a desktop there is nobody to click on it.
  const showing = (await page.evaluate(() => window.told().some(({ closed }) => !closed))) ? page : other;
  await showing.evaluate(() => window.notifications.at(-1).notification.dispatchEvent(new Event('click')));
  await until('it leads to the result', async () => (await showing.evaluate(() => location.hash)) === '#analysis/911');
  await until('it is closed', async () => (await standing()).length === 0);
  assert.deepEqual([...page.faults, ...other.faults], []);
  await tabs.close();
});

test('permission is asked for by a click only', async () => {
  const tabs = await context();
  // Without a window Chromium has nobody to ask: it denies at once, so the question is a stand-in here.
  await tabs.addInitScript(() => {
    window.asked = 0;
    window.Notification = class {
      static permission = 'default';
      static requestPermission = async () => {
        window.asked += 1;
        return (window.Notification.permission = 'granted');
      };
    };
  });
  const page = await openAs(tabs, system, 52);
  await connected(page);
  await page.setInputFiles('#photo', photo(2));
  await page.getByRole('button', { name: 'Analyse' }).click();
  const offer = page.getByRole('button', { name: 'Turn on notifications' });
  await offer.waitFor();
  assert.equal(await page.evaluate(() => window.asked), 0);
  await offer.click();
  await until('it was asked', async () => (await page.evaluate(() => window.asked)) === 1);
  assert.equal(await offer.isVisible(), false);
  assert.deepEqual(page.faults, []);
  await tabs.close();
});

test('by keyboard alone, and what is refused is said', async () => {
  const tabs = await context({ viewport: { width: 390, height: 800 } });
  const page = await openPage(tabs, system);
  await page.getByRole('button', { name: 'User 42' }).waitFor();
  const press = async (key, found) => {
    for (let i = 0; i < 40; i++) {
      if (await page.evaluate(found)) return;
      await page.keyboard.press(key);
    }
    throw new Error(`not reached: ${found}`);
  };
  await press('Tab', 'document.activeElement?.id === "other-user"');
  await page.keyboard.type('53');
  await page.keyboard.press('Enter');
  await connected(page);
  await press('Tab', 'document.activeElement?.id === "photo"');
  await page.setInputFiles('#photo', { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('no photo') });
  await page.locator('#upload-error').getByText('notes.txt is no JPEG, PNG or WebP picture.').waitFor();
  await page.setInputFiles('#photo', { name: 'cut.png', mimeType: 'image/png', buffer: Buffer.from('no photo') });
  await press('Tab', 'document.activeElement?.id === "send"');
  await page.keyboard.press('Enter');
  await page.locator('#upload-error:not([hidden])').waitFor();
  await page.setInputFiles('#photo', photo(3));
  await page.locator('#photo').focus();
  await press('Tab', 'document.activeElement?.id === "send"');
  await page.keyboard.press('Enter');
  // On a phone the result takes the place of the list, and the focus follows.
  await page.locator('#detail .ring').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'detail');
  await press('Tab', 'document.activeElement?.className === "back"');
  await page.keyboard.press('Enter');
  await page.locator('#list .score').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'User 42' }).waitFor();
  assert.equal(await page.evaluate(() => localStorage.getItem('tendril.token')), null);
  assert.deepEqual(page.faults, []);
  await tabs.close();
});

test('two clicks on a user sign in once', async () => {
  const tabs = await context();
  const page = await openPage(tabs, system);
  const sockets = [];
  page.on('websocket', (socket) => sockets.push(socket.url()));
  const answered = [];
  page.on('response', (response) => response.url().endsWith('/api/development/token') && answered.push(response.finished()));
  const button = page.getByRole('button', { name: 'User 7', exact: true });
  // Both before the first is answered, however slow the machine is.
  await button.evaluate((user) => [user.click(), user.click()]);
  await until('both clicks are answered', () => answered.length === 2);
  await Promise.all(answered);
  await connected(page);
  // A second workspace would have opened a connection before this one knows its position.
  await system.completed(7, 930);
  await page.locator('.toast').getByText('Wheat #930').waitFor();
  assert.equal(await page.locator('.toast').count(), 1);
  assert.equal(sockets.length, 1);
  assert.deepEqual(page.faults, []);
  await tabs.close();
});

test('a photo that is cancelled while it is made smaller is not sent', async () => {
  const tabs = await context();
  // Making it smaller takes until the test says so.
  await tabs.addInitScript(() => {
    const real = window.createImageBitmap.bind(window);
    const held = new Promise((resolve) => (window.goOn = resolve));
    window.createImageBitmap = async (source) => {
      window.isMadeSmaller = true;
      await held;
      return real(source);
    };
  });
  const page = await openAs(tabs, system, 56);
  await connected(page);
  const sent = [];
  page.on('request', (request) => request.method() === 'POST' && sent.push(request.url()));
  const { buffer, ...about } = photo(9);
  // Behind its end a picture may have anything; so it is larger than the hub takes.
  await page.setInputFiles('#photo', { ...about, buffer: Buffer.concat([buffer, Buffer.alloc(11 << 20)]) });
  await page.getByRole('button', { name: 'Analyse' }).click();
  await until('it is made smaller', () => page.evaluate(() => window.isMadeSmaller));
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.evaluate(() => window.goOn());
  await page.locator('#sending').waitFor({ state: 'hidden' });
  assert.deepEqual(sent.filter((url) => url.includes('plantanalyses')), []);
  assert.equal(await page.locator('#upload-error').isVisible(), false);

  // Not cancelled, it is.
  await page.getByRole('button', { name: 'Analyse' }).click();
  await page.locator('#detail .ring').waitFor();
  assert.deepEqual(page.faults, []);
  await tabs.close();
});

test('tokens as .NET writes them sign in', async () => {
  const tabs = await context();
  const page = await openPage(tabs, system);
  await page.getByText('Sign in with a token').click();
  await page.getByLabel('Access token').fill(system.token(0, { userId: undefined, nameid: '55', sub: 'somebody else' }));
  await page.locator('#token-form').getByRole('button').click();
  await connected(page);
  assert.equal(await page.locator('#who').innerText(), 'User 55');
  await system.completed(55, 920);
  await page.locator('.toast').getByText('Wheat #920').waitFor();
  await tabs.close();
});

test('a token that the hub does not accept leads back to signing in', async () => {
  const tabs = await context();
  const page = await openPage(tabs, system);
  await page.getByText('Sign in with a token').click();
  await page.getByLabel('Access token').fill('nonsense');
  await page.locator('#token-form').getByRole('button').click();
  await page.getByText('This is no token that is valid now.').waitFor();
  const [head, payload] = system.token(54).split('.');
  await page.getByLabel('Access token').fill(`${head}.${payload}.${Buffer.from('forged').toString('base64url')}`);
  await page.locator('#token-form').getByRole('button').click();
  await page.getByText('The hub does not accept the token any more').waitFor();
  await page.getByLabel('Access token').fill(system.token(54));
  await page.locator('#token-form').getByRole('button').click();
  await connected(page);
  await tabs.close();
});
