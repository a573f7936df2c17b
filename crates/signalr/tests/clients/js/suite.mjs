// What an application does with the official client, over one transport and
// one protocol, against the conformance hub.
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { Subject } from '@microsoft/signalr';
import { binary, build, collect, open, protocol, sleep, until } from './connection.mjs';

const ERROR = 'An unexpected error occurred invoking';
const limit = { timeout: 20_000 };

test('invoke returns what the method returns', limit, async (t) => {
  const hub = await open(t);
  assert.equal(await hub.invoke('Echo', 'hello'), 'hello');
  assert.equal(await hub.invoke('Add', 2, 3), 5);
  assert.equal(await hub.invoke('echo', 'lower case'), 'lower case');
  assert.equal(await hub.invoke('renamed'), 'renamed');
  assert.equal(await hub.invoke('Null'), null);
  assert.equal((await hub.invoke('Void')) ?? null, null);
  assert.equal(await hub.invoke('ConnectionIdOfMe'), hub.connectionId);
});

test('many invocations under way answer each its own', limit, async (t) => {
  const hub = await open(t);
  const numbers = Array.from({ length: 200 }, (_, number) => number);
  assert.deepEqual(await Promise.all(numbers.map((number) => hub.invoke('EchoInt', number))), numbers);
});

test('what is sent arrives, in order', limit, async (t) => {
  const hub = await open(t);
  const texts = Array.from({ length: 300 }, (_, number) => `text ${number}`);
  for (const text of texts) hub.send('SendCaller', text);
  await until(() => hub.received.length >= texts.length);
  assert.deepEqual(hub.received.map(([, text]) => text), texts);
});

test('an event without arguments and one with an object', limit, async (t) => {
  const hub = await open(t, '/golden', { events: ['Nudge', 'Things'] });
  await hub.invoke('SendNoArgs');
  await hub.invoke('SendObject');
  await until(() => hub.received.length === 2);
  const object = { mixedCase: true, nested: { a: null } };
  assert.deepEqual(hub.received, [['Nudge'], ['Things', 1, null, 'x', object]]);
});

test('errors have the texts of ASP.NET Core', limit, async (t) => {
  const hub = await open(t);
  const failing = 'Failed to invoke';
  for (const [call, text] of [
    [['Throw'], `${ERROR} 'Throw' on the server.`],
    [['ThrowLater'], `${ERROR} 'ThrowLater' on the server.`],
    [['ThrowHub'], `${ERROR} 'ThrowHub' on the server. HubException: hub bang`],
    [['ThrowHubInner'], `${ERROR} 'ThrowHubInner' on the server. HubException: outer`],
    [['Missing'], `${failing} 'Missing' due to an error on the server. HubException: Method does not exist.`],
    [['Echo'], `${failing} 'Echo' due to an error on the server.`],
    [['Add', 1, 'x'], `${failing} 'Add' due to an error on the server.`],
    [['Secured'], `${failing} 'Secured' because user is unauthorized`],
    [['Never'], `${failing} 'Never' because user is unauthorized`],
    [['Stream', 1], "The client attempted to invoke the streaming 'Stream' method with a non-streaming invocation."],
    [['Upload'], `${ERROR} 'Upload' on the server. HubException: Client sent 0 stream(s), Hub method expects 1.`],
  ]) {
    await assert.rejects(hub.invoke(...call), { message: text });
  }
  assert.equal(await hub.invoke('Echo', 'still here'), 'still here');
});

test('detailed errors show what is inside', limit, async (t) => {
  const hub = await open(t, '/golden-detailed');
  await assert.rejects(hub.invoke('Throw'), {
    message: `${ERROR} 'Throw' on the server. InvalidOperationException: bang`,
  });
  await assert.rejects(hub.invoke('Echo', 'a', 'b'), {
    message:
      "Failed to invoke 'Echo' due to an error on the server. " +
      'InvalidDataException: Invocation provides 2 argument(s) but target expects 1.',
  });
});

test('a stream of the server arrives whole and in order', limit, async (t) => {
  const hub = await open(t);
  const items = Array.from({ length: 500 }, (_, number) => number);
  assert.deepEqual(await collect(hub.stream('Stream', 500)), { items });
  assert.deepEqual(await collect(hub.stream('StreamChannel', 3)), { items: [0, 1, 2] });
  assert.deepEqual(await collect(hub.stream('Stream', 0)), { items: [] });
});

test('streams beside each other do not mix', limit, async (t) => {
  const hub = await open(t);
  const lengths = [50, 1, 0, 200, 30];
  const streams = await Promise.all(lengths.map((length) => collect(hub.stream('Stream', length))));
  assert.deepEqual(streams.map(({ items }) => items.length), lengths);
});

test('a stream that fails tells its items and then its error', limit, async (t) => {
  const hub = await open(t);
  const error = 'An error occurred on the server while streaming results.';
  assert.deepEqual(await collect(hub.stream('StreamThrow', 2)), { items: [0, 1], error });
  assert.deepEqual(await collect(hub.stream('StreamThrowHub', 1)), {
    items: [0],
    error: `${error} HubException: stream hub bang`,
  });
  assert.deepEqual(await collect(hub.stream('StreamThrowEarlyHub')), {
    items: [],
    error: `${ERROR} 'StreamThrowEarlyHub' on the server. HubException: early hub bang`,
  });
  assert.deepEqual(await collect(hub.stream('Echo', 'x')), {
    items: [],
    error: "The client attempted to invoke the non-streaming 'Echo' method with a streaming invocation.",
  });
});

test('a stream can be cancelled', limit, async (t) => {
  const hub = await open(t);
  const stream = hub.stream('StreamForever');
  await new Promise((first) => {
    const subscription = stream.subscribe({
      next: () => {
        subscription.dispose();
        first();
      },
      complete: () => {},
      error: assert.fail,
    });
  });
  await until(() => hub.invoke('WasCancelled'));
});

test('a stream of the client arrives whole and in order', limit, async (t) => {
  const hub = await open(t);
  const subject = new Subject();
  const sum = hub.invoke('Upload', subject);
  for (let number = 1; number <= 100; number += 1) subject.next(number);
  subject.complete();
  assert.equal(await sum, 5050);
  const [numbers, texts] = [new Subject(), new Subject()];
  // The client overlooks the second of two streams that stand side by side.
  const both = hub.invoke('UploadTwo', numbers, 'tag ', texts);
  texts.next(' a');
  numbers.next(20);
  texts.next('b');
  numbers.next(22);
  numbers.complete();
  texts.complete();
  assert.equal(await both, 'tag 42 ab');
});

test('a failing stream of the client fails in the method', limit, async (t) => {
  const hub = await open(t);
  const subject = new Subject();
  const caught = hub.invoke('UploadCatch', subject);
  subject.next(4);
  subject.next(5);
  subject.error(new Error('out of numbers'));
  assert.equal(await caught, '9, HubException: out of numbers');
});

test('streams both ways in one method', limit, async (t) => {
  const hub = await open(t);
  const subject = new Subject();
  const echoed = collect(hub.stream('UploadEcho', subject));
  for (const text of ['one', 'zwei', 'три']) subject.next(text);
  subject.complete();
  assert.deepEqual(await echoed, { items: ['one!', 'zwei!', 'три!'] });
});

test('a client answers the server', limit, async (t) => {
  const hub = await open(t);
  hub.on('Question', async () => 42);
  assert.equal(await hub.invoke('AskClient'), 42);
  const meadow = await open(t, '/meadow');
  meadow.on('Question', () => -7);
  assert.equal(await meadow.invoke('Ask'), -7);
  const other = await open(t);
  assert.equal(await other.invoke('AskOther', hub.connectionId), 'answer 42');
  assert.equal(await other.invoke('AskOther', 'AAAAAAAAAAAAAAAAAAAAAA'),
    "IOException: Connection 'AAAAAAAAAAAAAAAAAAAAAA' does not exist.");
});

test('a client whose handler fails, is missing or is late', limit, async (t) => {
  const failing = await open(t);
  failing.on('Question', () => {
    throw new Error('no idea');
  });
  assert.equal(await failing.invoke('AskCatch'), 'HubException: Error: no idea');
  const silent = await open(t);
  assert.equal(await silent.invoke('AskCatch'), "HubException: Client didn't provide a result.");
  const late = await open(t);
  late.on('Question', () => sleep(60_000, 1, { ref: false }));
  assert.equal(await late.invoke('AskTimeout', 50), 'HubException: Invocation canceled by the server.');
});

test('all, others, all but some, one, several', limit, async (t) => {
  const room = await Promise.all([open(t, '/golden-min1'), open(t, '/golden-min1'), open(t, '/golden-min1')]);
  const [a, b, c] = room;
  await a.invoke('SendAll', 'all');
  await a.invoke('SendOthers', 'others');
  await a.invoke('SendAllExcept', [b.connectionId], 'not b');
  await a.invoke('SendClient', b.connectionId, 'b alone');
  await a.invoke('SendClients', [a.connectionId, c.connectionId, c.connectionId], 'a and c');
  await b.invoke('SendAll', 'end');
  const texts = (hub) => hub.received.map(([, text]) => text);
  await until(() => room.every((hub) => texts(hub).includes('end')));
  assert.deepEqual(texts(a), ['all', 'not b', 'a and c', 'end']);
  assert.deepEqual(texts(b), ['all', 'others', 'b alone', 'end']);
  assert.deepEqual(texts(c), ['all', 'others', 'not b', 'a and c', 'end']);
});

test('groups', limit, async (t) => {
  const [a, b, c] = await Promise.all([open(t), open(t), open(t)]);
  const [red, blue] = [`red ${a.connectionId}`, `blue ${a.connectionId}`];
  await a.invoke('JoinGroup', red);
  await b.invoke('JoinGroup', red);
  await b.invoke('JoinGroup', blue);
  await a.invoke('JoinGroupFor', c.connectionId, blue);
  await c.invoke('SendGroup', red, 'red');
  await c.invoke('SendGroups', [red, blue], 'both');
  await a.invoke('SendGroupExcept', red, [b.connectionId], 'red but b');
  await a.invoke('SendOthersInGroup', red, 'other reds');
  await b.invoke('LeaveGroup', red);
  await c.invoke('SendGroup', red, 'without b');
  await a.invoke('SendClients', [a.connectionId, b.connectionId, c.connectionId], 'end');
  const texts = (hub) => hub.received.map(([, text]) => text);
  await until(() => [a, b, c].every((hub) => texts(hub).includes('end')));
  assert.deepEqual(texts(a), ['red', 'both', 'red but b', 'without b', 'end']);
  assert.deepEqual(texts(b), ['red', 'both', 'both', 'other reds', 'end']);
  assert.deepEqual(texts(c), ['both', 'end']);
});

test('users, over all their connections', limit, async (t) => {
  const user = `user-${Math.random()}`.replace('.', '');
  const [phone, laptop, other] = await Promise.all([
    open(t, '/golden-auth', { token: user }),
    open(t, '/golden-auth', { token: user }),
    open(t, '/golden-auth', { token: `${user}-other` }),
  ]);
  assert.equal(await phone.invoke('UserOfMe'), user);
  assert.equal(await phone.invoke('Secured'), 'secured');
  await other.invoke('SendUser', user, 'hello');
  await other.invoke('SendUsers', [user, `${user}-other`], 'all of you');
  const texts = (hub) => hub.received.map(([, text]) => text);
  await until(() => [phone, laptop, other].every((hub) => texts(hub).includes('all of you')));
  assert.deepEqual([phone, laptop, other].map(texts), [
    ['hello', 'all of you'],
    ['hello', 'all of you'],
    ['all of you'],
  ]);
});

test('who has no token, or not the role, is told so', limit, async (t) => {
  const refused = (status, text) => ({
    message: `Failed to complete negotiation with the server: Error: ${text}: Status code '${status}'`,
  });
  await assert.rejects(build('/golden-auth').start(), refused(401, 'Unauthorized'));
  await assert.rejects(build('/golden-admin', { token: 'alice' }).start(), refused(403, 'Forbidden'));
  await open(t, '/golden-admin', { token: 'alice.admin' });
});

test('a message of just the limit passes, one byte more closes', limit, async (t) => {
  const hub = await open(t);
  const size = (text, id) => {
    const written = protocol().writeMessage({ type: 1, target: 'Echo', arguments: [text], invocationId: id });
    return typeof written === 'string' ? Buffer.byteLength(written) : written.byteLength;
  };
  const padding = 32_768 - size('x'.repeat(32_000), '0');
  const largest = 'x'.repeat(32_000 + padding);
  assert.equal(size(largest, '0'), 32_768);
  assert.equal(await hub.invoke('Echo', largest), largest);
  const closed = new Promise((resolve) => hub.onclose(resolve));
  const text = 'Server returned an error on close: Connection closed with an error.';
  await assert.rejects(hub.invoke('Echo', `${largest}x`), { message: text });
  assert.equal((await closed).message, text);
});

test('big messages of the server arrive', limit, async (t) => {
  const hub = await open(t);
  const lengths = [32_767, 32_768, 65_535, 65_536, 300_000];
  const texts = await Promise.all(lengths.map((length) => hub.invoke('MakeLong', length)));
  assert.deepEqual(texts.map((text) => text.length), lengths);
});

test('texts of all scripts', limit, async (t) => {
  const hub = await open(t);
  for (const text of ['', 'Müller', 'Растение', '植物', '🌱🧑🏽‍🌾', 'a\u0000b', '\u001e', '"\\\n\t\u2028\u2029', '<&>\'+', '\ufeff']) {
    assert.equal(await hub.invoke('Echo', text), text);
  }
});

test('numbers', limit, async (t) => {
  const hub = await open(t);
  for (const number of [0, -1, 2_147_483_647, -2_147_483_648]) assert.equal(await hub.invoke('EchoInt', number), number);
  for (const number of [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) assert.equal(await hub.invoke('EchoLong', number), number);
  for (const number of [0.1, -0.5, 1e21, 1e-7, 5e-324, Number.MAX_VALUE, 42]) assert.equal(await hub.invoke('EchoDouble', number), number);
  assert.equal(await hub.invoke('EchoNullable', null), null);
  await assert.rejects(hub.invoke('EchoInt', 2_147_483_648));
});

test('lists, maps, objects, booleans', limit, async (t) => {
  const hub = await open(t);
  assert.equal(await hub.invoke('EchoBool', true), true);
  assert.deepEqual(await hub.invoke('EchoList', [1, 2, 3]), [1, 2, 3]);
  assert.equal(await hub.invoke('EchoList', null), null);
  assert.deepEqual(await hub.invoke('EchoMap', { a: 1, 'b c': 2 }), { a: 1, 'b c': 2 });
  const meadow = await open(t, '/meadow');
  const plant = { name: 'Rübe', heightMetres: 0.25, tags: ['root', 'красная'], healthy: null };
  assert.deepEqual(await meadow.invoke('EchoPlant', plant), plant);
  if (binary) return;
  const object = await hub.invoke('MakeObject');
  object.long = 42; // The largest 64-bit number is more than JavaScript can hold.
  assert.deepEqual(await hub.invoke('EchoObject', object), object);
});

test('dates', limit, async (t) => {
  const date = new Date('2026-11-20T12:34:56.789Z');
  if (binary) {
    const hub = await open(t, '/meadow');
    assert.deepEqual(await hub.invoke('EchoTimestamp', date), date);
  } else {
    const hub = await open(t);
    assert.equal(await hub.invoke('EchoDate', date), '2026-11-20T12:34:56.789Z');
  }
});

test('byte arrays', limit, async (t) => {
  const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  if (binary) {
    const hub = await open(t, '/meadow');
    assert.deepEqual(new Uint8Array(await hub.invoke('EchoBytes', bytes)), bytes);
  } else {
    const hub = await open(t);
    const text = Buffer.from(bytes).toString('base64');
    assert.equal(await hub.invoke('EchoBytes', text), text);
  }
});

test('an abort of the server closes without an error', limit, async (t) => {
  const hub = await open(t);
  const closed = new Promise((resolve) => hub.onclose(resolve));
  await assert.rejects(hub.invoke('Abort'), {
    message: 'Invocation canceled due to the underlying connection being closed.',
  });
  assert.equal(await closed, undefined);
});

test('a hub that refuses a connection says why', limit, async () => {
  const hub = build('/golden-throw-hub');
  const closed = new Promise((resolve) => hub.onclose(resolve));
  // Where the refusal comes with the answer to the handshake, it fails the start.
  const refused = await hub.start().then(() => closed, (error) => error);
  assert.equal(refused.message,
    'Server returned an error on close: Connection closed with an error. HubException: connect hub bang');
});

test('a stop of the client closes without an error, and it can start again', limit, async (t) => {
  const hub = await open(t);
  const first = hub.connectionId;
  const closed = new Promise((resolve) => hub.onclose(resolve));
  await hub.stop();
  assert.equal(await closed, undefined);
  await hub.start();
  assert.notEqual(hub.connectionId, first);
  assert.equal(await hub.invoke('Echo', 'again'), 'again');
});

test('a client with short intervals is kept alive by pings', limit, async (t) => {
  // The server pings each second; without a ping the client would close.
  const set = (builder) => builder.withKeepAliveInterval(500).withServerTimeout(5_000);
  const hub = await open(t, '/golden-stateful-short', { set });
  await sleep(6_000);
  assert.equal(await hub.invoke('Echo', 'alive'), 'alive');
});
