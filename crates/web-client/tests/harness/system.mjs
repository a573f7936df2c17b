// A real hub and worker on free ports over fresh data; gone with `stop`.
import { spawn } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { createWriteStream, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../../../..');

export const BINARIES = process.env.TENDRIL_BIN_DIR ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'debug');

/** Far above what anything takes: a test fails by it, and none measures by it. */
export const PATIENCE = 60_000;

export class System {
  #folder = mkdtempSync(join(tmpdir(), 'tendril-web-'));
  #settings;
  #processes = new Map();
  /** What tokens are signed with. */
  tokenSecret = randomBytes(32).toString('base64url');

  static async start({ hub = {}, worker = {}, workers = true } = {}) {
    const system = new System();
    system.port = await freePort();
    system.url = `http://localhost:${system.port}`;
    system.internalSecret = randomBytes(32).toString('base64url');
    const shared = {
      PATH: process.env.PATH,
      NO_COLOR: '1',
      ASPNETCORE_ENVIRONMENT: 'Development',
      ZIRAAI_INTERNAL_SECRET: system.internalSecret,
      WebAPI__BaseUrl: system.url,
      CONFIG_DIR: system.#folder,
    };
    const data = join(system.#folder, 'data');
    mkdirSync(data);
    system.#settings = {
      'hub-api': { ...shared, PORT: String(system.port), DATA_DIR: data, Jwt__Secret: system.tokenSecret, Drain__Delay: '0', ...hub },
      'analysis-worker': { ...shared, PORT: String(await freePort()), ...worker },
    };
    await system.startHub();
    if (workers) await system.startWorker();
    return system;
  }

  startHub() {
    return this.#start('hub-api');
  }

  startWorker() {
    return this.#start('analysis-worker');
  }

  killHub() {
    return this.#end('hub-api', 'SIGKILL');
  }

  stopHub() {
    return this.#end('hub-api', 'SIGTERM');
  }

  /** It stands still, with all its connections open, until it is thawed or ended. */
  freezeHub() {
    this.#processes.get('hub-api').process.kill('SIGSTOP');
  }

  thawHub() {
    this.#processes.get('hub-api').process.kill('SIGCONT');
  }

  async stop() {
    for (const name of ['analysis-worker', 'hub-api']) await this.#end(name, 'SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** A token as the deployed identity service makes them. */
  token(user, claims = {}) {
    const now = Math.floor(Date.now() / 1000);
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const issued = { userId: String(user), iat: now, exp: now + 3600, ...claims };
    const settings = this.#settings['hub-api'];
    const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ iss: settings.Jwt__Issuer, aud: settings.Jwt__Audience, ...issued })}`;
    return `${signed}.${createHmac('sha256', this.tokenSecret).update(signed).digest('base64url')}`;
  }

  /** What a worker or another service tells the hub. */
  async notify(body) {
    const response = await fetch(`${this.url}/internal/notify`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Internal-Secret': this.internalSecret },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`notify: ${response.status} ${await response.text()}`);
    return response.json();
  }

  /** Tells a user that an analysis is done, without one having been made. */
  completed(user, analysisId, more = {}) {
    return this.notify({
      type: 'analysis.completed',
      userId: user,
      notification: {
        analysisId,
        userId: user,
        status: 'Completed',
        completedAt: new Date().toISOString(),
        cropType: 'wheat',
        primaryConcern: 'Leaf rust',
        overallHealthScore: 62,
        imageUrl: null,
        deepLink: `app://analysis/${analysisId}`,
        ...more,
      },
    });
  }

  async api(user, path) {
    const response = await fetch(this.url + path, { headers: { Authorization: `Bearer ${this.token(user)}` } });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  async #start(name) {
    const log = join(this.#folder, `${name}.log`);
    const env = Object.fromEntries(Object.entries(this.#settings[name]).filter(([, value]) => value !== undefined));
    const process_ = spawn(join(BINARIES, name), { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const file = createWriteStream(log, { flags: 'a' });
    process_.stdout.pipe(file, { end: false });
    process_.stderr.pipe(file, { end: false });
    const ended = new Promise((resolve) => process_.once('exit', resolve));
    this.#processes.set(name, { process: process_, ended });
    const health = `http://127.0.0.1:${env.PORT}/health`;
    await until(`${name} is healthy`, async () => {
      if (process_.exitCode !== null) throw new Error(`${name} ended while it started:\n${await readFile(log, 'utf8')}`);
      return fetch(health).then((response) => response.ok, () => false);
    });
  }

  async #end(name, signal) {
    const running = this.#processes.get(name);
    if (!running) return;
    this.#processes.delete(name);
    running.process.kill(signal);
    await running.ended;
  }
}

/** Waits until `condition` gives something. */
export async function until(what, condition, patience = PATIENCE) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > end) throw new Error(`In vain was waited until ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Below the range from which the system takes the ports of outgoing connections. */
export async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const free = await new Promise((resolve) => {
      const server = createServer().once('error', () => resolve(false));
      server.listen(port, '::', () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}
