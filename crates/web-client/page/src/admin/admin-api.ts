import type { ConnectionsClosed, HealthReport, NodeConnections, NotificationLogPage, Problem, SwitchChange, Switched, Switches, UserConnections } from './types.js';

/** How long the hub may take to tell its health, in milliseconds; it bounds each of its checks. */
const HEALTH_TIMEOUT = 5_000;

/** How long any other answer may take. */
const ANSWER_TIMEOUT = 20_000;

/** The hub's REST surface for operators. */
export class AdminApi {
  readonly #token: () => string;
  readonly #refused: () => void;

  constructor(token: () => string, refused: () => void) {
    this.#token = token;
    this.#refused = refused;
  }

  /** Also of a hub that is not healthy, which answers 503. */
  async health(): Promise<HealthReport> {
    const response = await fetch('/health', { signal: AbortSignal.timeout(HEALTH_TIMEOUT) });
    return (await response.json()) as HealthReport;
  }

  log(filter: Readonly<Record<string, string>>): Promise<NotificationLogPage> {
    return this.#request('GET', `/api/admin/notifications?${new URLSearchParams(filter)}`);
  }

  slowest(limit: number): Promise<NodeConnections> {
    return this.#request('GET', `/api/admin/connections?limit=${limit}`);
  }

  closeConnection(id: string): Promise<ConnectionsClosed> {
    return this.#request('DELETE', `/api/admin/connections/${encodeURIComponent(id)}`);
  }

  connections(user: string): Promise<UserConnections> {
    return this.#request('GET', `/api/admin/users/${encodeURIComponent(user)}/connections`);
  }

  closeConnections(user: string): Promise<ConnectionsClosed> {
    return this.#request('DELETE', `/api/admin/users/${encodeURIComponent(user)}/connections`);
  }

  switches(): Promise<Switches> {
    return this.#request('GET', '/api/admin/switches');
  }

  turn(change: SwitchChange): Promise<Switched> {
    return this.#request('PATCH', '/api/admin/switches', change);
  }

  async #request<Answer>(method: string, path: string, content?: unknown): Promise<Answer> {
    const headers: Record<string, string> = { Authorization: `Bearer ${this.#token()}` };
    if (content !== undefined) headers['Content-Type'] = 'application/json';
    const sent = content === undefined ? {} : { body: JSON.stringify(content) };
    const response = await fetch(path, { method, headers, signal: AbortSignal.timeout(ANSWER_TIMEOUT), ...sent }).catch(() => {
      throw new Error('The hub cannot be reached.');
    });
    if (response.status === 401) this.#refused();
    const body: unknown = await response.json().catch(() => null);
    if (!response.ok) throw new Error((body as Problem | null)?.detail ?? `The hub answered ${response.status}.`);
    return body as Answer;
  }
}
