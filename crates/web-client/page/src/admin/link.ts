import { HubConnectionBuilder, LogLevel, type HubConnection } from '@microsoft/signalr';
import type { ConnectionState } from 'tendril-client';
import type { AllNodes, Work } from './types.js';

/** The longest wait between two attempts, in milliseconds. */
const LONGEST = 15_000;

interface Listener {
  state(state: ConnectionState): void;
  figures(text: string): void;
  work(work: Work): void;
  nodes(nodes: AllNodes): void;
}

/** The connection to `/hubs/admin`, which sends the hub's figures once a second, who works, and which hubs there are. */
export class Link {
  readonly #token: () => string;
  readonly #listener: Listener;
  #connection: HubConnection | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;
  #stopped = false;

  constructor(token: () => string, listener: Listener) {
    this.#token = token;
    this.#listener = listener;
  }

  start(): void {
    addEventListener('online', this.retryNow);
    void this.#connect();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    removeEventListener('online', this.retryNow);
    await this.#connection?.stop();
  }

  readonly retryNow = (): void => {
    if (this.#connection || this.#stopped) return;
    clearTimeout(this.#timer);
    void this.#connect();
  };

  async #connect(): Promise<void> {
    this.#attempt += 1;
    const { state } = this.#listener;
    state(this.#attempt === 1 ? { status: 'connecting' } : { status: 'reconnecting', attempt: this.#attempt, nextTry: null, reason: null });
    const connection = new HubConnectionBuilder()
      .withUrl('/hubs/admin', { accessTokenFactory: this.#token })
      .configureLogging(LogLevel.None)
      .build();
    this.#connection = connection;
    let up = false;
    connection.on('ReceiveFigures', (text: string) => this.#listener.figures(text));
    connection.on('ReceiveWork', (work: Work) => this.#listener.work(work));
    connection.on('ReceiveNodes', (nodes: AllNodes) => this.#listener.nodes(nodes));
    connection.onclose((error) => up && this.#lost(error));
    try {
      await connection.start();
      up = true;
      this.#attempt = 0;
      state({ status: 'connected' });
    } catch (error) {
      this.#lost(error as Error);
    }
  }

  #lost(error: Error | undefined): void {
    this.#connection = null;
    if (this.#stopped) return;
    if (/Status code '40[13]'/.test(error?.message ?? '')) return this.#listener.state({ status: 'unauthorized' });
    const full = Math.min(LONGEST, 500 * 2 ** this.#attempt);
    const delay = full / 2 + (Math.random() * full) / 2;
    this.#timer = setTimeout(() => void this.#connect(), delay);
    const nextTry = new Date(Date.now() + delay);
    if (navigator.onLine) this.#listener.state({ status: 'reconnecting', attempt: this.#attempt, nextTry, reason: null });
    else this.#listener.state({ status: 'offline', nextTry });
  }
}
