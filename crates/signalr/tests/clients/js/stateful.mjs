// Stateful reconnect: a proxy cuts the connection at any byte, again and again,
// while numbers flow in four ways. The application must notice nothing.
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { Subject } from '@microsoft/signalr';
import { collect, cut, open, sleep, until } from './connection.mjs';

// What the proxy's cuts follow from.
console.log(`seed ${process.env.SEED}`);

const COUNT = Number(process.env.COUNT);
const NUMBERS = Array.from({ length: COUNT }, (_, number) => number);

const CLIENTS = ['one', 'another', 'a third'];
const hubs = [];
let flowing = true;

// The client gives up when it is cut while it takes up its connection, so each
// cut waits until all have: an answer to a call comes behind all they repeat.
async function cutAgainAndAgain() {
  await until(() => hubs.length === CLIENTS.length);
  while (flowing) {
    await Promise.all(hubs.map((hub) => hub.invoke('WhoAmI')));
    await sleep(Math.random() * 150);
    await cut();
  }
}

async function flow(t) {
  const set = (builder) => builder.withStatefulReconnect({ bufferSize: 1_000_000 });
  const hub = await open(t, '/meadow', { set, events: ['Bell'] });
  hubs.push(hub);
  const id = hub.connectionId;
  const lost = [];
  hub.onreconnecting((error) => lost.push(error));
  hub.onclose((error) => lost.push(error));
  const grown = collect(hub.stream('Grow', COUNT));
  const subject = new Subject();
  const gathered = hub.invoke('Gather', subject);
  const notes = [];
  await hub.send('Ring', COUNT);
  for (const number of NUMBERS) {
    notes.push(hub.send('Note', number));
    subject.next(number);
    if (number % 2 === 0) await sleep(5);
  }
  subject.complete();
  await Promise.all(notes);
  assert.equal(await gathered, COUNT);
  const { items, error } = await grown;
  assert.equal(error, undefined);
  assert.deepEqual(items.map(([number]) => number), NUMBERS);
  await until(() => hub.received.length >= COUNT);
  assert.deepEqual(hub.received.map(([, number]) => number), NUMBERS);
  flowing = false;
  await cutting;
  assert.equal(await hub.invoke('WhoAmI'), id);
  assert.equal(hub.connectionId, id);
  assert.deepEqual(lost, []);
  console.log(`FLOWED ${id}`);
}

const cutting = cutAgainAndAgain();
// A failure here is a client's that was lost, and shows there.
cutting.catch(() => {});

test('clients whose connections are cut lose nothing', { concurrency: true }, async (t) => {
  await Promise.all(CLIENTS.map((name) => t.test(name, { timeout: 60_000 }, flow)));
});
