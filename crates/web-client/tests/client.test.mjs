// tendril-client as a program in Node uses it, against a real hub.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError, PlantAnalysisApi, PlantAnalysisClient } from 'tendril-client';
import { drawLeaf } from '../../../scripts/demo/leaf.mjs';
import { Network } from './harness/network.mjs';
import { System, until } from './harness/system.mjs';

/** A client, and everything that it told. */
function listen(url, token, more = {}) {
  const client = new PlantAnalysisClient({ url, token: () => token, backoff: { first: 100, longest: 500 }, ...more });
  const told = { completed: [], failed: [], progress: [], other: [], state: [], resumed: [], gap: [] };
  for (const [kind, events] of Object.entries(told)) client.on(kind, (event) => events.push(event));
  client.start();
  const is = (status) => until(`it is ${status}`, () => client.state.status === status);
  return { client, told, is };
}

const ids = (events) => events.map(({ analysisId }) => analysisId);

test('everything once, in order, through cuts and a killed hub', async () => {
  const system = await System.start({ workers: false });
  const network = await Network.to(system.port);
  const { client, told, is } = listen(network.url, system.token(42));
  try {
    await is('connected');
    for (let id = 1; id <= 40; id++) {
      await system.completed(42, id);
      if (id % 8 === 0) network.cut();
      if (id === 20) {
        await system.killHub();
        await system.startHub();
      }
    }
    await until('all came', () => told.completed.length >= 40);
    assert.deepEqual(ids(told.completed), Array.from({ length: 40 }, (_, n) => n + 1));
    assert.equal(client.sequence, 40);
    assert.equal(told.gap.length, 0);
    assert.ok(told.state.some(({ status, nextTry }) => status === 'reconnecting' && nextTry instanceof Date));
  } finally {
    await client.stop();
    await network.close();
    await system.stop();
  }
});

test('a new program goes on where its cursor stands, and acknowledges', async () => {
  const system = await System.start({ workers: false });
  let kept = null;
  const cursor = { load: () => kept, save: (now) => (kept = now) };
  const token = system.token(42);
  try {
    const first = listen(system.url, token, { cursor });
    await first.is('connected');
    await system.completed(42, 1);
    await until('it came', () => first.told.completed.length === 1);
    await first.client.stop();
    assert.equal(kept.sequence, 1);
    await system.completed(42, 2);
    await system.notify({ event: 'ReportReady', userId: 42, payload: { reportId: 9 } });

    const second = listen(system.url, token, { cursor, events: ['ReportReady'] });
    await until('both came', () => second.told.completed.length === 1 && second.told.other.length === 1);
    assert.deepEqual(ids(second.told.completed), [2]);
    assert.deepEqual(second.told.other, [{ event: 'ReportReady', payload: { notificationId: 3, sequence: 3, reportId: 9 } }]);
    await until('it is caught up', () => second.told.resumed.length === 1);
    await second.client.acknowledge(3);
    const api = new PlantAnalysisApi({ url: system.url, token: () => token });
    assert.deepEqual(await api.unreadCount(), { unread: 0, acknowledged: 3 });
    assert.ok((await second.client.ping()) > 0);
    await second.client.stop();
    await assert.rejects(second.client.ping());
  } finally {
    await system.stop();
  }
});

test('a cursor of another log is told as a gap, and what follows comes', async () => {
  const system = await System.start({ workers: false });
  try {
    await system.completed(42, 1);
    const cursor = { load: () => ({ epoch: 'another', sequence: 70 }), save: () => undefined };
    const { client, told } = listen(system.url, system.token(42), { cursor });
    await until('the gap is told', () => told.gap.length === 1);
    assert.deepEqual(ids(told.completed), []);
    await system.completed(42, 2);
    await until('the next came', () => told.completed.length === 1);
    assert.deepEqual(ids(told.completed), [2]);
    await client.stop();
  } finally {
    await system.stop();
  }
});

test('an event that nobody listens for holds up nothing', async () => {
  const system = await System.start({ workers: false });
  try {
    let kept = null;
    const cursor = { load: () => kept, save: (now) => (kept = now) };
    const { client, told, is } = listen(system.url, system.token(42), { cursor });
    await is('connected');
    await system.completed(42, 1);
    await system.notify({ event: 'ReportReady', userId: 42, payload: { reportId: 9 } });
    await system.completed(42, 3);
    await until('the last came', () => told.completed.length === 2);
    assert.deepEqual([client.sequence, kept.sequence], [3, 3]);
    await client.stop();
  } finally {
    await system.stop();
  }
});

test('where to begin is asked for until it is told', async () => {
  const system = await System.start({ workers: false });
  try {
    for (const id of [1, 2, 3]) await system.completed(42, id);
    const api = new PlantAnalysisApi({ url: system.url, token: () => system.token(42) });
    let asked = 0;
    const from = async () => {
      asked += 1;
      if (asked < 3) throw new Error('The question was lost.');
      return (await api.unreadCount()).acknowledged + 2;
    };
    const { client, told, is } = listen(system.url, system.token(42), { from });
    await is('connected');
    assert.equal(asked, 3);
    assert.ok(told.state.some(({ status }) => status === 'reconnecting'));
    assert.deepEqual(ids(told.completed), [3]);
    await client.stop();

    const refused = new PlantAnalysisApi({ url: system.url, token: () => 'no token' });
    const other = listen(system.url, 'no token', { from: async () => (await refused.unreadCount()).acknowledged });
    await other.is('unauthorized');
  } finally {
    await system.stop();
  }
});

test('a connection that ended by a silence is made again soon, and tells the user nothing', async () => {
  const hub = { SignalR__KeepAliveInterval: '1', SignalR__ConnectionTimeout: '2' };
  const system = await System.start({ workers: false, hub });
  try {
    // The SignalR client pings every 15 seconds, so this hub closes it with an error.
    const { client, told, is } = listen(system.url, system.token(42));
    await is('connected');
    const lost = await until('it was closed', () => told.state.find(({ status }) => status === 'reconnecting'));
    assert.deepEqual([lost.attempt, lost.reason], [0, null]);
    await until('it is back', () => told.resumed.length > 1);
    await client.stop();
  } finally {
    await system.stop();
  }
});

test('a token that is refused ends the attempts until there is another', async () => {
  const system = await System.start({ workers: false });
  try {
    let token = 'no token';
    const client = new PlantAnalysisClient({ url: system.url, token: () => token });
    client.start();
    await until('it is refused', () => client.state.status === 'unauthorized');
    token = system.token(42);
    client.start();
    await until('it is connected', () => client.state.status === 'connected');
    await client.stop();
    assert.deepEqual(client.state, { status: 'stopped' });
  } finally {
    await system.stop();
  }
});

test('the REST surface: an upload, its progress and result, and a refusal', async () => {
  const system = await System.start();
  const token = system.token(42);
  const { client, told, is } = listen(system.url, token);
  try {
    await is('connected');
    const api = new PlantAnalysisApi({ url: `${system.url}/`, token: () => token });
    const upload = { photo: new Blob([drawLeaf({ width: 480, height: 320, seed: 1 })]), cropType: 'wheat', idempotencyKey: 'once' };
    const { analysisId, status } = await api.upload(upload);
    assert.equal(status, 'Processing');
    assert.equal((await api.upload(upload)).analysisId, analysisId, 'the same key made two');
    await until('it is done', () => told.completed.length === 1);
    assert.ok(told.progress.length > 0);
    const [completed] = told.completed;
    const analysis = await api.analysis(analysisId);
    assert.equal(analysis.result.overallHealthScore, completed.overallHealthScore);
    assert.equal((await api.analyses()).items.length, 1);
    assert.deepEqual((await api.notifications(0)).items.map(({ sequence }) => sequence), [1]);

    const refused = await api.upload({ photo: new Blob(['no photo']), idempotencyKey: 'two' }).catch((error) => error);
    assert.ok(refused instanceof ApiError && !refused.isTransient, String(refused));
    assert.deepEqual([refused.status, refused.problem.errors[0].field], [415, 'image']);
    await system.stopHub();
    const away = await api.unreadCount().catch((error) => error);
    assert.ok(away instanceof ApiError && away.status === 0 && away.isTransient);
  } finally {
    await client.stop();
    await system.stop();
  }
});
