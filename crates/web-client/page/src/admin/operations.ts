import { showConnection } from '../connection-view.js';
import { byId } from '../dom.js';
import type { Session } from '../session.js';
import { AdminApi } from './admin-api.js';
import { ConnectionsView } from './connections-view.js';
import { Figures } from './figures.js';
import { showHealth } from './health-view.js';
import { Link } from './link.js';
import { LogView } from './log-view.js';
import { SwitchesView } from './switches-view.js';
import { Tiles } from './tiles.js';

/** How often health is asked for; the hub itself looks at most once a second. */
const HEALTH_EVERY = 3_000;

/** In milliseconds; the hub tells every second. */
const SHORTEST = 500;

/** Everything that a signed-in operator sees. */
export class Operations {
  readonly #gone = new AbortController();
  readonly #tiles = new Tiles();
  readonly #link: Link;
  readonly #api: AdminApi;
  #before: Figures | null = null;

  constructor(session: Session, refused: (why: string) => void) {
    const { signal } = this.#gone;
    const token = () => session.token;
    this.#api = new AdminApi(token, () => refused('The hub does not accept this token for the role Admin.'));
    this.#link = new Link(token, {
      state: (state) => {
        if (signal.aborted) return;
        if (state.status === 'unauthorized') refused('The hub does not accept this token for the role Admin.');
        else showConnection(state);
        if (state.status !== 'connected') this.#lost();
      },
      figures: (text) => this.#figures(text),
    });
    byId('tools').hidden = byId('workspace').hidden = false;
    byId('connection-retry').addEventListener('click', () => this.#link.retryNow(), { signal });
    new ConnectionsView(this.#api, signal);
    new LogView(this.#api, signal);
    new SwitchesView(this.#api);
    void this.#health();
    const health = setInterval(() => void this.#health(), HEALTH_EVERY);
    signal.addEventListener('abort', () => clearInterval(health));
    this.#link.start();
  }

  async leave(): Promise<void> {
    this.#gone.abort();
    byId('tools').hidden = byId('workspace').hidden = true;
    await this.#link.stop();
  }

  #figures(text: string): void {
    const now = new Figures(text, performance.now());
    // What the network held up comes at once; over so short a time a rate means nothing.
    if (this.#before && now.at - this.#before.at < SHORTEST) return;
    if (this.#before) this.#tiles.show(now, this.#before);
    this.#before = now;
  }

  /** What happened meanwhile must not look like one second. */
  #lost(): void {
    if (this.#before) this.#tiles.missed();
    this.#before = null;
  }

  async #health(): Promise<void> {
    if (document.hidden) return;
    showHealth(await this.#api.health().catch(() => null));
  }
}
