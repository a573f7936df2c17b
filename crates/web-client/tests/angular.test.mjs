// The service of docs/clients/angular.md: its types against Angular's, and its code against a real hub.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { drawLeaf } from '../../../scripts/demo/leaf.mjs';
import { ROOT, System, until } from './harness/system.mjs';

const PACKAGES = join(dirname(fileURLToPath(import.meta.url)), '..');

const OPTIONS = {
  target: 'ES2022', lib: ['ES2022', 'DOM', 'DOM.Iterable'], module: 'ESNext', moduleResolution: 'Bundler',
  strict: true, noImplicitOverride: true, experimentalDecorators: true, skipLibCheck: true, types: [], noEmit: true,
};

/** What an application has besides: who signed in, and where the hub is. */
const AUTH = `
import { Injectable } from '@angular/core';
@Injectable({ providedIn: 'root' })
export class AuthService {
  readonly userId = '42';
  freshToken(): Promise<string> { return Promise.resolve((globalThis as unknown as { token: string }).token); }
  signInAgain(): Promise<void> { return Promise.resolve(); }
}`;
const ENVIRONMENT = 'export const environment = { hubUrl: (globalThis as unknown as { hubUrl: string }).hubUrl };';
/** Angular's own injector makes the service, and ends it. */
const MAIN = `
import { Injector } from '@angular/core';
import { AuthService } from './app/auth.service';
import { PlantAnalysisService } from './app/plant-analysis.service';
export function start() {
  const made = [AuthService, PlantAnalysisService].map((kind) => ({ provide: kind, useFactory: () => new kind() }));
  const injector = Injector.create({ providers: made });
  return { service: injector.get(PlantAnalysisService), end: () => (injector as unknown as { destroy(): void }).destroy() };
}`;

let folder;
before(() => {
  // Here, so that the packages are found.
  mkdirSync(join(PACKAGES, 'node_modules/.cache'), { recursive: true });
  folder = mkdtempSync(join(PACKAGES, 'node_modules/.cache/angular-'));
  const document = readFileSync(join(ROOT, 'docs/clients/angular.md'), 'utf8');
  const [, service] = /^```ts\n([^]*?)^```$/m.exec(document);
  const files = {
    'src/app/plant-analysis.service.ts': service,
    'src/app/auth.service.ts': AUTH,
    'src/environments/environment.ts': ENVIRONMENT,
    'src/main.ts': MAIN,
    'tsconfig.json': JSON.stringify({ compilerOptions: OPTIONS, include: ['src'] }),
  };
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
});
after(() => rmSync(folder, { recursive: true, force: true }));

test('its types fit', () => {
  const checked = spawnSync(join(PACKAGES, 'node_modules/.bin/tsc'), ['-p', folder], { encoding: 'utf8' });
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
});

test('it tells what happens, and ends with its injector', async () => {
  const system = await System.start();
  let end;
  try {
    const outfile = join(folder, 'main.mjs');
    await build({
      entryPoints: [join(folder, 'src/main.ts')], tsconfig: join(folder, 'tsconfig.json'), bundle: true, format: 'esm', platform: 'node', outfile,
      banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    });
    const kept = new Map();
    const localStorage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key) };
    Object.defineProperty(globalThis, 'localStorage', { configurable: true, value: localStorage });
    Object.assign(globalThis, { token: system.token(42), hubUrl: system.url });
    const { start } = await import(pathToFileURL(outfile));
    const started = start();
    const { service } = started;
    ({ end } = started);
    const ended = [];
    service.ended$.subscribe((entry) => ended.push(entry));
    await until('it is connected', () => service.connection().status === 'connected');
    const photo = new Blob([drawLeaf({ width: 480, height: 320, seed: 30 })]);
    const { analysisId } = await service.api.upload({ photo, idempotencyKey: 'angular' });
    await until('it is done', () => ended.length > 0);
    assert.equal(ended[0].analysisId, analysisId);
    assert.equal(service.progress().has(analysisId), false);
    await service.acknowledge(ended[0].sequence);
    assert.equal((await service.api.unreadCount()).unread, 0);
    assert.match([...kept.entries()].join(), /^tendril\.42,/);
    end();
    end = null;
    await until('it is gone', () => service.connection().status === 'stopped');
  } finally {
    end?.();
    await system.stop();
  }
});
