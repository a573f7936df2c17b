// Automatic reconnect: the network is cut under a running connection.
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { collect, cut, open, until } from './connection.mjs';

const limit = { timeout: 30_000 };
const RETRIES = [0, 100, 200, 400, 800, 1600, 3200];

function watch(hub) {
  const seen = { reconnecting: [], reconnected: [], closed: [] };
  hub.onreconnecting((error) => seen.reconnecting.push(error));
  hub.onreconnected((id) => seen.reconnected.push(id));
  hub.onclose((error) => seen.closed.push(error));
  return seen;
}

test('a cut in mid-stream, several times over', limit, async (t) => {
  const set = (builder) => builder.withAutomaticReconnect(RETRIES);
  const hub = await open(t, '/meadow', { set, events: ['Bell'] });
  const seen = watch(hub);
  const ids = [hub.connectionId];
  for (let round = 1; round <= 3; round += 1) {
    hub.received.length = 0;
    const stream = collect(hub.stream('Grow', 1_000_000));
    await hub.send('Ring', 1_000_000);
    await until(() => hub.received.length > 50);
    // A cut between two polls goes unnoticed: the next one makes a connection.
    await until(() => cut().then(() => seen.reconnecting.length === round));
    const { items, error } = await stream;
    assert.ok(error, 'a stream that was cut fails');
    assert.deepEqual(items.map(([number]) => number), items.map((_, number) => number));
    await until(() => seen.reconnected.length === round);
    ids.push(hub.connectionId);
    assert.equal(seen.reconnected.at(-1), hub.connectionId);
    assert.equal(await hub.invoke('WhoAmI'), hub.connectionId);
    const numbers = hub.received.map(([, number]) => number);
    assert.deepEqual(numbers, numbers.map((_, number) => number), 'events arrived in order, none twice');
  }
  assert.equal(new Set(ids).size, 4, 'each time it is a new connection');
  assert.equal(seen.reconnecting.length, 3);
  assert.deepEqual(seen.closed, []);
  console.log(`ENDED ${ids.slice(0, 3).join(' ')}`);
});

test('without automatic reconnect a cut closes', limit, async (t) => {
  const hub = await open(t, '/meadow');
  const seen = watch(hub);
  await until(() => cut().then(() => seen.closed.length === 1));
  // An event stream does not know whether its server ended it or a cut.
  if (process.env.TRANSPORT !== 'ServerSentEvents') assert.ok(seen.closed[0], 'it closes with an error');
  await hub.start();
  assert.equal(await hub.invoke('WhoAmI'), hub.connectionId);
});
