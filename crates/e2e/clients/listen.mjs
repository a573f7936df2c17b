// Runs official SignalR clients for the end-to-end tests.
//
// Reads one JSON command a line from stdin, writes one JSON event a line to
// stdout, ends when stdin ends. Any number of connections live in one process.
//
//   {"id":1,"do":"open","connection":"phone","url":"http://..","token":"..","tokenIn":"header",
//    "skipNegotiation":false,"transport":"webSockets","protocol":"json",
//    "automaticReconnect":[0,1000],"statefulReconnect":false,"serverTimeout":30000,"events":["Pong"]}
//   {"id":2,"do":"invoke","connection":"phone","method":"Resume","arguments":[0]}
//   {"id":3,"do":"send","connection":"phone","method":"Ping","arguments":[]}
//   {"id":4,"do":"stop","connection":"phone"}
//
// Each command is answered: {"type":"answer","id":1,"value":..} or {"type":"answer","id":1,"error":".."}.
// Between answers come {"type":"event","connection":"phone","name":"..","arguments":[..],"at":..} and
// {"type":"reconnecting"|"reconnected"|"closed","connection":"phone",..}. `at` is in milliseconds since 1970.
import { createInterface } from 'node:readline';
import { HttpTransportType, HubConnectionBuilder, JsonHubProtocol, LogLevel } from '@microsoft/signalr';
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack';

const TRANSPORTS = {
  webSockets: HttpTransportType.WebSockets,
  serverSentEvents: HttpTransportType.ServerSentEvents,
  longPolling: HttpTransportType.LongPolling,
};

const connections = new Map();

const COMMANDS = { open, invoke, send, stop };

for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim()) run(JSON.parse(line));
}
process.exit(0);

// Commands are not waited for: one that hangs must not hold up the next.
async function run(command) {
  try {
    const value = await COMMANDS[command.do](command);
    write({ type: 'answer', id: command.id, value: value ?? null });
  } catch (error) {
    write({ type: 'answer', id: command.id, error: error?.message ?? String(error) });
  }
}

async function open(options) {
  const connection = build(options);
  const name = options.connection;
  for (const event of options.events) {
    connection.on(event, (...args) => write({ type: 'event', connection: name, name: event, arguments: args }));
  }
  connection.onreconnecting((error) => write({ type: 'reconnecting', connection: name, error: error?.message }));
  connection.onreconnected(() => write({ type: 'reconnected', connection: name }));
  connection.onclose((error) => write({ type: 'closed', connection: name, error: error?.message }));
  connections.set(name, connection);
  await connection.start();
}

function build(options) {
  const http = { headers: options.headers ?? {}, skipNegotiation: options.skipNegotiation };
  if (options.transport) http.transport = TRANSPORTS[options.transport];
  let url = options.url;
  if (options.tokenIn === 'query') {
    url += `?access_token=${encodeURIComponent(options.token)}`;
  } else if (options.token) {
    http.accessTokenFactory = () => options.token;
  }
  const builder = new HubConnectionBuilder()
    .withUrl(url, http)
    .withHubProtocol(options.protocol === 'messagepack' ? new MessagePackHubProtocol() : new JsonHubProtocol())
    .configureLogging({ log: (level, message) => level >= LogLevel.Warning && console.error(message) });
  if (options.automaticReconnect) builder.withAutomaticReconnect(options.automaticReconnect);
  if (options.statefulReconnect) builder.withStatefulReconnect();
  if (options.serverTimeout) builder.withServerTimeout(options.serverTimeout);
  return builder.build();
}

function invoke({ connection, method, arguments: args }) {
  return find(connection).invoke(method, ...args);
}

function send({ connection, method, arguments: args }) {
  return find(connection).send(method, ...args);
}

function stop({ connection }) {
  return find(connection).stop();
}

function find(name) {
  const connection = connections.get(name);
  if (!connection) throw new Error(`no connection is called ${name}`);
  return connection;
}

function write(message) {
  const at = performance.timeOrigin + performance.now();
  process.stdout.write(`${JSON.stringify({ ...message, at })}\n`);
}
