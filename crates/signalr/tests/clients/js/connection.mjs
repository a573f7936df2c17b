// Connections of the official client, made as the environment says:
// HUBS is the server's address, TRANSPORT and PROTOCOL name what is tested.
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpTransportType, HubConnectionBuilder, JsonHubProtocol, LogLevel } from '@microsoft/signalr';
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack';

const HUBS = process.env.HUBS;
const TRANSPORT = HttpTransportType[process.env.TRANSPORT];

export const binary = process.env.PROTOCOL === 'messagepack';

export function protocol() {
  return binary ? new MessagePackHubProtocol() : new JsonHubProtocol();
}

// A connection that is not started. `set` may add to the builder.
export function build(path, { token, set = () => {}, events = [] } = {}) {
  const builder = new HubConnectionBuilder()
    .withUrl(HUBS + path, { transport: TRANSPORT, accessTokenFactory: token && (() => token) })
    .withHubProtocol(protocol())
    .configureLogging({ log: (level, text) => level >= LogLevel.Critical && console.error(text) });
  set(builder);
  const connection = builder.build();
  connection.received = [];
  for (const name of events) connection.on(name, (...args) => connection.received.push([name, ...args]));
  return connection;
}

// A started connection, stopped when the test `t` is over.
export async function open(t, path = '/golden', options = {}) {
  const connection = build(path, { events: ['Message'], ...options });
  t.after(() => connection.stop());
  await connection.start();
  return connection;
}

// Waits until `found` gives something; the test runner's timeout ends a wait in vain.
export async function until(found) {
  for (;;) {
    const value = await found();
    if (value) return value;
    await sleep(5);
  }
}

// The items of a stream, and its error's text.
export function collect(stream) {
  return new Promise((resolve) => {
    const items = [];
    stream.subscribe({
      next: (item) => items.push(item),
      complete: () => resolve({ items }),
      error: (error) => resolve({ items, error: error.message }),
    });
  });
}

// Has the proxy cut every connection that goes through it now.
export function cut() {
  return once(connect(Number(process.env.CUT_PORT), '127.0.0.1').resume(), 'close');
}

export { sleep };
