import {
  type HubConnection,
  HubConnectionBuilder,
  HubConnectionState,
  type IHttpConnectionOptions,
  type ILogger,
  LogLevel,
} from '@microsoft/signalr';
import { ApiError } from './api.js';
import { type BackoffOptions, delayBefore } from './backoff.js';
import { NotingProtocol } from './close-notice.js';
import type { ConnectionState } from './connection-state.js';
import { type CursorStore, LogPosition } from './cursor.js';
import type { ClientEvents, HubEvents, Logged, Unsubscribe } from './events.js';
import type { Resumed } from './generated.js';
import { listenToNetwork } from './network.js';

/** How a client connects. */
export interface PlantAnalysisClientOptions {
  /** The deployment, e.g. `https://hub.example`; the page's own where it is missing. */
  readonly url?: string;
  /** Gives a token for each attempt, so that a fresh one can be got. */
  readonly token: () => string | Promise<string>;
  /** Where the position in the log is kept between starts. Without it a start gets `from` on. */
  readonly cursor?: CursorStore;
  /**
   * The last sequence that the user is known to have, where no cursor is kept; or what finds it
   * out, which is asked before the first connection, and again after a while where it fails.
   */
  readonly from?: number | (() => Promise<number>);
  /** Names of further events, of other kinds of jobs. */
  readonly events?: readonly string[];
  readonly backoff?: BackoffOptions;
  /** Passed on to the SignalR client, e.g. to choose a transport. */
  readonly http?: IHttpConnectionOptions;
  /** Where the SignalR client logs; nowhere by default. */
  readonly logger?: ILogger | LogLevel;
}

/** How long the hub may take to answer a question whether the connection still works. */
const PROBE_TIMEOUT = 5_000;

/** How long an attempt may take: what a tunnel swallowed is never answered. */
const START_TIMEOUT = 20_000;

/** Everything missed is sent before the answer. */
const RESUME_TIMEOUT = 60_000;

/** An attempt that is older than this when the network comes back was made without it. */
const STALE_ATTEMPT = 3_000;

/** After a refusal an early attempt would only be refused again. */
const REFUSED_ATTEMPT = 6;

/**
 * A connection to `/hubs/plantanalysis` that comes back by itself for as long as it is wanted,
 * asks for what it missed, and tells everything once.
 */
export class PlantAnalysisClient {
  readonly #options: PlantAnalysisClientOptions;
  readonly #listeners = new Map<keyof ClientEvents, Set<(event: never) => void>>();
  #position: LogPosition;
  /** Finds out where the log is to be followed from; null when that is known. */
  #findStart: (() => Promise<number>) | null = null;
  #state: ConnectionState = { status: 'stopped' };
  #connection: HubConnection | null = null;
  #protocol = new NotingProtocol();
  #attempt = 0;
  #attemptBegan = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #forgetNetwork: Unsubscribe | null = null;
  /** Counts starts and stops: what an older run still has under way changes nothing. */
  #run = 0;

  constructor(options: PlantAnalysisClientOptions) {
    const { cursor, from = 0 } = options;
    const kept = cursor?.load() ?? null;
    this.#options = options;
    this.#position = new LogPosition(kept ?? { epoch: null, sequence: typeof from === 'number' ? from : 0 });
    if (!kept && typeof from === 'function') this.#findStart = from;
  }

  /** The state of the connection; `on('state', ..)` tells of changes. */
  get state(): ConnectionState {
    return this.#state;
  }

  /** The last sequence up to which this client has everything. */
  get sequence(): number {
    return this.#position.cursor.sequence;
  }

  /** Calls `listener` for each event of a kind, until the returned function is called. */
  on<Kind extends keyof ClientEvents>(kind: Kind, listener: (event: ClientEvents[Kind]) => void): Unsubscribe {
    const listeners = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, listeners);
    listeners.add(listener as (event: never) => void);
    return () => listeners.delete(listener as (event: never) => void);
  }

  /** Connects, and stays connected until `stop()`. Returns at once; see `state`. */
  start(): void {
    if (this.#state.status !== 'stopped' && this.#state.status !== 'unauthorized') return;
    this.#run += 1;
    this.#attempt = 0;
    this.#forgetNetwork ??= listenToNetwork({
      back: () => this.#networkIsBack(),
      gone: () => this.#networkIsGone(),
    });
    void this.#connect(this.#run);
  }

  /** Disconnects for good. */
  async stop(): Promise<void> {
    this.#run += 1;
    clearTimeout(this.#timer);
    this.#forgetNetwork?.();
    this.#forgetNetwork = null;
    const connection = this.#connection;
    this.#connection = null;
    this.#tellState({ status: 'stopped' });
    await connection?.stop();
  }

  /** Tries now instead of at the announced time. */
  retryNow(): void {
    if (this.#state.status !== 'reconnecting' && this.#state.status !== 'offline') return;
    if (this.#state.nextTry === null) return;
    clearTimeout(this.#timer);
    void this.#connect(this.#run);
  }

  /** Tells the hub that the user saw everything up to `sequence`. Rejects while not connected. */
  async acknowledge(sequence: number): Promise<void> {
    await this.#connected().invoke('Acknowledge', sequence);
  }

  /** How long the hub takes to answer, in milliseconds. Rejects while not connected. */
  async ping(): Promise<number> {
    const connection = this.#connected();
    const before = performance.now();
    await connection.invoke('Ping');
    return performance.now() - before;
  }

  #connected(): HubConnection {
    if (this.#connection?.state !== HubConnectionState.Connected) throw new Error('There is no connection to the hub.');
    return this.#connection;
  }

  async #connect(run: number): Promise<void> {
    this.#attempt += 1;
    if (this.#state.status === 'reconnecting' || this.#state.status === 'offline') {
      this.#tellState({ ...this.#state, nextTry: null });
    } else {
      this.#tellState({ status: 'connecting' });
    }
    const connection = this.#build();
    const isCurrent = () => run === this.#run && connection === this.#connection;
    let up = false;
    connection.onclose((error) => {
      // An attempt that fails is reported by `start` and `invoke` below.
      if (up && isCurrent()) this.#lost(run, error);
    });
    this.#connection = connection;
    this.#attemptBegan = Date.now();
    try {
      await this.#startIsKnown();
      if (!isCurrent()) return;
      this.#position.connecting();
      await inTime(connection.start(), START_TIMEOUT);
      // At once: a client that waits is taken for one that knows nothing of `Resume`.
      const resume = connection.invoke<Resumed>('Resume', this.#position.argument);
      const resumed = await inTime(resume, RESUME_TIMEOUT);
      if (!isCurrent()) return void connection.stop();
      up = connection.state === HubConnectionState.Connected;
      this.#resumed(resumed);
      if (!up) this.#lost(run, undefined);
    } catch (error) {
      void connection.stop().catch(() => undefined);
      if (isCurrent()) this.#lost(run, error);
    }
  }

  async #startIsKnown(): Promise<void> {
    const find = this.#findStart;
    if (!find) return;
    const sequence = await inTime(find(), START_TIMEOUT);
    // An attempt that was given up may be answered after all.
    if (this.#findStart === find) this.#position = new LogPosition({ epoch: null, sequence });
    this.#findStart = null;
  }

  #build(): HubConnection {
    const { url = '', token, http, logger = LogLevel.None, events = [] } = this.#options;
    this.#protocol = new NotingProtocol();
    const connection = new HubConnectionBuilder()
      .withHubProtocol(this.#protocol)
      .withUrl(`${url.replace(/\/+$/, '')}/hubs/plantanalysis`, { ...http, accessTokenFactory: token })
      .configureLogging(logger as ILogger)
      .build();
    // What a connection that was given up still brings, the next one brings again.
    const on = <Name extends string>(name: Name, handler: (event: Name extends keyof HubEvents ? HubEvents[Name] : unknown) => void) =>
      connection.on(name, (event) => connection === this.#connection && handler(event));
    on('ReceiveAnalysisCompleted', (event) => this.#logged(event, () => this.#tell('completed', event)));
    on('ReceiveAnalysisFailed', (event) => this.#logged(event, () => this.#tell('failed', event)));
    on('ReceiveAnalysisProgress', (event) => this.#tell('progress', event));
    on('ReceiveMaintenanceNotice', (notice) => this.#tell('notice', notice));
    // `Ping` is answered by this event, too; nobody waits for it.
    connection.on('Pong', () => undefined);
    for (const event of events) {
      on(event as string, (payload) => this.#logged(payload, () => this.#tell('other', { event, payload })));
    }
    return connection;
  }

  /** Tells an entry of the log unless it was told before. */
  #logged(entry: Logged | unknown, tell: () => void): void {
    const sequence = (entry as Partial<Logged> | null)?.sequence;
    // Payloads that are no objects carry no sequence: they are told as they come.
    if (typeof sequence === 'number' && !this.#position.take(sequence)) return;
    tell();
    this.#options.cursor?.save(this.#position.cursor);
  }

  #resumed(resumed: Resumed): void {
    this.#position.resumed(resumed);
    this.#options.cursor?.save(this.#position.cursor);
    this.#attempt = 0;
    this.#tellState({ status: 'connected' });
    this.#tell(resumed.complete ? 'resumed' : 'gap', resumed);
  }

  #lost(run: number, error: unknown): void {
    this.#connection = null;
    if (isUnauthorized(error)) {
      this.#run += 1;
      this.#tellState({ status: 'unauthorized' });
      return;
    }
    const { reason, refused } = this.#protocol.notice ?? { reason: null, refused: false };
    if (refused) this.#attempt = Math.max(this.#attempt, REFUSED_ATTEMPT);
    const delay = delayBefore(this.#attempt + 1, this.#options.backoff);
    const nextTry = new Date(Date.now() + delay);
    this.#timer = setTimeout(() => void this.#connect(run), delay);
    if (globalThis.navigator?.onLine === false) this.#tellState({ status: 'offline', nextTry });
    else this.#tellState({ status: 'reconnecting', attempt: this.#attempt, nextTry, reason });
  }

  #networkIsBack(): void {
    if (this.#state.status === 'offline') {
      this.#tellState({ status: 'reconnecting', attempt: this.#attempt, nextTry: this.#state.nextTry, reason: null });
    }
    if (this.#state.status === 'connected') void this.#probe();
    else if (this.#state.status === 'reconnecting' && this.#state.nextTry === null) this.#abandonStale();
    else this.retryNow();
  }

  /** An attempt that was begun without a network may hang for long after it is back. */
  #abandonStale(): void {
    const connection = this.#connection;
    if (!connection || Date.now() - this.#attemptBegan < STALE_ATTEMPT) return;
    this.#lost(this.#run, undefined);
    this.retryNow();
    void connection.stop().catch(() => undefined);
  }

  #networkIsGone(): void {
    // A hub on this device is reached without a network: the connection is asked, not the browser.
    if (this.#state.status === 'connected') void this.#probe();
    else if (this.#state.status === 'reconnecting') {
      this.#tellState({ status: 'offline', nextTry: this.#state.nextTry });
    }
  }

  /** Closes a connection that carries nothing any more, which else only silence would show. */
  async #probe(): Promise<void> {
    const connection = this.#connection;
    const run = this.#run;
    if (!connection) return;
    try {
      await inTime(connection.invoke('Ping'), PROBE_TIMEOUT);
    } catch (error) {
      if (run !== this.#run || connection !== this.#connection) return;
      this.#lost(run, error);
      void connection.stop().catch(() => undefined);
    }
  }

  #tellState(state: ConnectionState): void {
    this.#state = state;
    this.#tell('state', state);
  }

  #tell<Kind extends keyof ClientEvents>(kind: Kind, event: ClientEvents[Kind]): void {
    for (const listener of [...(this.#listeners.get(kind) ?? [])]) {
      try {
        (listener as (event: ClientEvents[Kind]) => void)(event);
      } catch (error) {
        // One listener's fault must not keep the others, or the position, from this event.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/** The SignalR client gives the status of a refused negotiation in words only. */
function isUnauthorized(error: unknown): boolean {
  if (error instanceof ApiError) return error.status === 401;
  return error instanceof Error && error.message.includes("Status code '401'");
}

async function inTime<Value>(promise: Promise<Value>, milliseconds: number): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('The hub does not answer.')), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
