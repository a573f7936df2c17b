// Listens as a user's client, sends a photo, shows progress and the notification.
// Settings: URL, TOKEN, PHOTO (a path; else a leaf is drawn), TIMEOUT in seconds (900).
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { HubConnectionBuilder, LogLevel } from '@microsoft/signalr';
import { drawLeaf } from './leaf.mjs';
import { ProgressBar } from './progress-bar.mjs';

class DemoError extends Error {}

const url = (process.env.URL ?? '').replace(/\/+$/, '');
const token = process.env.TOKEN ?? '';
const timeoutSeconds = Number(process.env.TIMEOUT ?? 900);

try {
  if (!url || !token) throw new DemoError('set URL and TOKEN (make demo does so by itself)');
  await demo();
} catch (error) {
  console.error(error instanceof DemoError ? `error: ${error.message}` : error);
  process.exitCode = 1;
}

async function demo() {
  const photo = readPhoto();
  const listener = await listen();
  try {
    const started = performance.now();
    const analysisId = await upload(photo);
    console.log(`Sent ${photo.name} (${Math.ceil(photo.bytes.length / 1024)} KB): analysis ${analysisId}`);
    const notification = await listener.outcome(analysisId);
    await show(notification, performance.now() - started);
  } finally {
    await listener.connection.stop();
  }
}

function readPhoto() {
  const path = process.env.PHOTO;
  if (!path) return { name: 'leaf.png', bytes: drawLeaf({ seed: Date.now() }) };
  try {
    return { name: basename(path), bytes: readFileSync(path) };
  } catch (error) {
    throw new DemoError(`cannot read the photo: ${error.message}`);
  }
}

async function listen() {
  const connection = new HubConnectionBuilder()
    .withUrl(`${url}/hubs/plantanalysis`, { accessTokenFactory: () => token })
    .withAutomaticReconnect()
    .configureLogging(LogLevel.None)
    .build();
  const bar = new ProgressBar();
  const outcomes = new Map();
  const waiting = new Map();
  const settle = (outcome) => {
    bar.end();
    outcomes.set(outcome.analysisId, outcome);
    waiting.get(outcome.analysisId)?.(outcome);
  };
  connection.on('ReceiveAnalysisProgress', (p) => bar.show(p.percent, p.message));
  connection.on('ReceiveAnalysisCompleted', settle);
  connection.on('ReceiveAnalysisFailed', settle);
  connection.onreconnecting(() => bar.note('connection lost, reconnecting'));
  connection.onreconnected(() => bar.note('connected again'));
  try {
    await connection.start();
  } catch (error) {
    throw new DemoError(`nothing answers at ${url}, or it refuses the token (${error.message}); is 'make run' up?`);
  }
  console.log(`Listening at ${url}/hubs/plantanalysis`);
  const outcome = (analysisId) =>
    new Promise((resolve, reject) => {
      if (outcomes.has(analysisId)) return resolve(outcomes.get(analysisId));
      const timer = setTimeout(() => {
        bar.end();
        reject(new DemoError(`no notification within ${timeoutSeconds} s; is the worker running?`));
      }, timeoutSeconds * 1000);
      waiting.set(analysisId, (found) => {
        clearTimeout(timer);
        resolve(found);
      });
      connection.onclose((error) => {
        clearTimeout(timer);
        bar.end();
        reject(new DemoError(`the connection was closed${error ? `: ${error.message}` : ''}`));
      });
    });
  return { connection, outcome };
}

async function upload({ name, bytes }) {
  const form = new FormData();
  form.set('image', new Blob([bytes]), name);
  form.set('cropType', 'wheat');
  const response = await request('/api/v1/plantanalyses/analyze-async', { method: 'POST', body: form });
  return (await response.json()).analysisId;
}

async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(url + path, { ...options, headers: { authorization: `Bearer ${token}` } });
  } catch (error) {
    throw new DemoError(`${url} does not answer: ${error.cause?.message ?? error.message}`);
  }
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    const fields = (problem.errors ?? []).map((e) => `${e.field}: ${e.detail} (${e.accepted})`);
    const why = [problem.detail ?? problem.title ?? 'no reason given', ...fields].join('; ');
    throw new DemoError(`${path} was refused (${response.status}): ${why}`);
  }
  return response;
}

async function show(notification, milliseconds) {
  console.log(`\nNotification ${notification.sequence} after ${(milliseconds / 1000).toFixed(2)} s: ${notification.status}`);
  if (notification.status === 'Failed') {
    console.log(`  ${notification.errorMessage}`);
    return;
  }
  const analysis = await (await request(`/api/v1/plantanalyses/${notification.analysisId}`)).json();
  console.log(`  Health score:    ${notification.overallHealthScore} of 100`);
  console.log(`  Primary concern: ${notification.primaryConcern}`);
  for (const symptom of analysis.result?.symptoms ?? []) {
    console.log(`  ${`${symptom.kind}:`.padEnd(16)} ${(symptom.leafShare * 100).toFixed(1)} % of the leaf, ${symptom.patches} patches`);
  }
  if (analysis.result?.disclaimer) console.log(`  ${analysis.result.disclaimer}`);
  if (analysis.overlayUrl) console.log(`  Symptoms outlined: ${new URL(analysis.overlayUrl, url)}`);
  console.log(`  Deep link:       ${notification.deepLink}`);
}
