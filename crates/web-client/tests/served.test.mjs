// How the hub serves the pages, and to whom it gives a token.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { after, before, test } from 'node:test';
import { System } from './harness/system.mjs';

let system;
before(async () => {
  system = await System.start({ workers: false });
});
after(() => system?.stop());

/** `fetch` sets Host and Accept-Encoding itself. */
function get(path, headers = {}, { host = '127.0.0.1', port = system.port, method = 'GET', body } = {}) {
  return new Promise((resolve, reject) => {
    const sent = request({ host, port, path, method, headers }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

test('the page is asked for each time, its files are kept for ever', async (t) => {
  const page = await get('/');
  assert.equal(page.status, 200);
  assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
  assert.equal(page.headers['cache-control'], 'no-cache');
  assert.equal((await get('/', { 'If-None-Match': page.headers.etag })).status, 304);
  const files = page.body.toString().match(/\/assets\/[^"]+/g);
  assert.equal(new Set(files).size, 3);
  let weight = page.body.length;
  for (const file of new Set(files)) {
    const [plain, packed] = await Promise.all([get(file), get(file, { 'Accept-Encoding': 'gzip, br' })]);
    assert.equal(plain.headers['cache-control'], 'public, max-age=31536000, immutable');
    assert.equal(plain.headers['content-encoding'], undefined);
    assert.equal(packed.headers['content-encoding'], 'br');
    assert.match(packed.headers.vary, /Accept-Encoding/);
    assert.equal(packed.headers['x-content-type-options'], 'nosniff');
    weight += packed.body.length;
  }
  t.diagnostic(`the page weighs ${weight} bytes`);
  assert.ok(weight < 60_000, 'the page has become heavy');
  const missing = await get('/assets/main-000000000000.js');
  assert.equal(missing.status, 404);
});

test('no script or style may be written into the page', async () => {
  const { headers, body } = await get('/');
  const policy = headers['content-security-policy'];
  for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"]) {
    assert.ok(policy.includes(rule), policy);
  }
  assert.doesNotMatch(policy, /unsafe|\*|data:/);
  assert.doesNotMatch(body.toString(), /<style|\sstyle=|\son[a-z]+=|<script(?![^>]* src=)/);
});

test('a token is given in Development, on this machine, and nowhere else', async () => {
  const path = '/api/development/token';
  const ask = (headers = {}, options = {}) =>
    get(path, { 'Content-Type': 'application/json', ...headers }, { method: 'POST', body: '{"userId":7,"roles":["Admin"]}', ...options });
  const given = await ask();
  assert.equal(given.status, 200);
  const { token } = JSON.parse(given.body);
  const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
  assert.deepEqual([claims.userId, claims.role], [7, ['Admin']]);

  // A page whose name was made to lead here, and another machine.
  assert.equal((await ask({ Host: 'evil.example' })).status, 403);
  const elsewhere = Object.values(networkInterfaces()).flat().find(({ internal, family }) => !internal && family === 'IPv4');
  if (elsewhere) assert.equal((await ask({ Host: 'localhost' }, { host: elsewhere.address })).status, 403);
  // Other origins may not send JSON without being asked about it first.
  assert.equal((await ask({ 'Content-Type': 'text/plain' })).status, 415);

  const secret = 'a production secret that is long enough 0123456789';
  const production = await System.start({
    workers: false,
    hub: { ASPNETCORE_ENVIRONMENT: 'Production', ZIRAAI_INTERNAL_SECRET: `${secret} a`, Jwt__Secret: `${secret} b`, Jwt__Issuer: 'tendril', Jwt__Audience: 'tendril' },
  });
  try {
    assert.equal((await ask({}, { port: production.port })).status, 404);
    const page = await get('/', {}, { port: production.port });
    assert.match(page.body.toString(), /data-sign-in="token"/);
    assert.match((await get('/')).body.toString(), /data-sign-in="development"/);
  } finally {
    await production.stop();
  }
});
