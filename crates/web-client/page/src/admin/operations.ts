import { showConnection } from '../connection-view.js';
import { byId } from '../dom.js';
import type { Session } from '../session.js';
import { AdminApi } from './admin-api.js';
import { ConnectionsView } from './connections-view.js';
import { Figures } from './figures.js';
import { showHealth } from './health-view.js';
import { Link } from './link.js';
import { LogView } from './log-view.js';
import { hideNodes, showNodes } from './nodes-view.js';
import { SwitchesView } from './switches-view.js';
import { Tiles } from './tiles.js';
import { showWork } from './work-view.js';

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
  /** One question at a time: a hub that does not answer is not asked more. */
  #askingHealth = false;

  constructor(session: Session, refused: (why: string) => void) {
    const { signal } = this.#gone;
    const token = () => session.token;
    // A late answer to who has left must not sign out who came since.
    const turnedAway = () => {
      if (!signal.aborted) refused('The hub does not accept this token for the role Admin.');
    };
    this.#api = new AdminApi(token, turnedAway);
    this.#link = new Link(token, {
      state: (state) => {
        if (signal.aborted) return;
        if (state.status === 'unauthorized') turnedAway();
        else showConnection(state);
        if (state.status !== 'connected') this.#lost();
      },
      figures: (text) => this.#figures(text),
      work: showWork,
      nodes: (nodes) => { if (!signal.aborted) showNodes(nodes); },
    });
    byId('tools').hidden = byId('workspace').hidden = false;
    byId('connection-retry').addEventListener('click', () => this.#link.retryNow(), { signal });
    new ConnectionsView(this.#api, signal);
    new LogView(this.#api, signal);
    new SwitchesView(this.#api, signal);
    void this.#health();
    const health = setInterval(() => void this.#health(), HEALTH_EVERY);
    signal.addEventListener('abort', () => { clearInterval(health); hideNodes(); });
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
    if (document.hidden || this.#askingHealth) return;
    this.#askingHealth = true;
    const report = await this.#api.health().catch(() => null);
    this.#askingHealth = false;
    if (!this.#gone.signal.aborted) showHealth(report);
  }
}
