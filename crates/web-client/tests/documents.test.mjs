// What docs/clients says that works here, works: its own lines are run.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT, System, until } from './harness/system.mjs';

const PYTHON = join(ROOT, 'crates/signalr/tests/clients/python/.venv/bin/python');

/** The code blocks of a document in one language. */
function blocks(file, language) {
  const text = readFileSync(join(ROOT, 'docs/clients', file), 'utf8');
  return [...text.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].filter(([, named]) => named === language).map(([, , code]) => code);
}

function run(program, args, env) {
  const running = spawn(program, args, { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const told = { output: '', ended: new Promise((resolve) => running.once('close', resolve)), end: () => running.kill('SIGKILL') };
  for (const stream of [running.stdout, running.stderr]) stream.on('data', (data) => (told.output += data));
  return told;
}

test('curl.md', async () => {
  const system = await System.start({ workers: false });
  try {
    await system.completed(42, 7);
    const script = `set -euo pipefail\n${blocks('curl.md', 'sh').join('\n')}`;
    const shell = run('bash', ['-c', script], { URL: system.url, TOKEN: system.token(42) });
    assert.equal(await shell.ended, 0, shell.output);
    for (const part of ['"items"', '"unread":1', '"/api/v1/plantanalyses/{id}"', 'ReceiveAnalysisCompleted', '"analysisId":7', '"complete":true']) {
      assert.ok(shell.output.includes(part), `${part} is not in ${shell.output}`);
    }
  } finally {
    await system.stop();
  }
});

test('python.md, through a killed hub', async () => {
  const system = await System.start({ workers: false });
  const folder = mkdtempSync(join(tmpdir(), 'tendril-python-'));
  const program = join(folder, 'listen.py');
  writeFileSync(program, blocks('python.md', 'python')[0]);
  const env = { TENDRIL_URL: system.url, TENDRIL_TOKEN: system.token(42), TENDRIL_CURSOR: join(folder, 'cursor.json') };
  let listener = run(PYTHON, [program], env);
  try {
    await system.completed(42, 1);
    await until('it is told', () => listener.output.includes('1: analysis 1 done: Leaf rust'));
    await system.killHub();
    await system.startHub();
    await system.completed(42, 2);
    await until('the next is told', () => listener.output.includes('2: analysis 2 done'));
    listener.end();
    await listener.ended;
    assert.equal(listener.output.match(/analysis 1 done/g).length, 1, listener.output);

    // Another process goes on where that one was.
    await system.completed(42, 3);
    listener = run(PYTHON, [program], env);
    await until('what was missed is told', () => listener.output.includes('3: analysis 3 done'));
    await until('it is caught up', () => listener.output.includes('caught up to 3'));
    assert.doesNotMatch(listener.output, /analysis [12] done/);
  } catch (error) {
    throw new Error(`${error.message}\n${listener.output}`, { cause: error });
  } finally {
    listener.end();
    rmSync(folder, { recursive: true, force: true });
    await system.stop();
  }
});
