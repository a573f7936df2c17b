import { byId, el, showText } from '../dom.js';
import { ago } from '../words.js';
import type { AdminApi } from './admin-api.js';
import type { NotificationLogPage } from './types.js';

/** What was sent to whom, and what became of it. */
export class LogView {
  readonly #api: AdminApi;
  #filter: Record<string, string> = {};
  #before: number | null = null;
  /** Counts the questions: an answer to an older one is not shown. */
  #turn = 0;

  constructor(api: AdminApi, signal: AbortSignal) {
    this.#api = api;
    byId('log-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#first();
    }, { signal });
    byId('log-older').addEventListener('click', () => void this.#load(), { signal });
    signal.addEventListener('abort', () => byId('log').replaceChildren());
    this.#first();
  }

  #first(): void {
    const wanted = { userId: 'log-user', analysisId: 'log-analysis', outcome: 'log-outcome' };
    const filled = Object.entries(wanted).map(([name, id]) => [name, byId<HTMLInputElement>(id).value.trim()]);
    this.#filter = Object.fromEntries(filled.filter(([, value]) => value));
    this.#before = null;
    void this.#load(true);
  }

  async #load(anew = false): Promise<void> {
    const turn = ++this.#turn;
    try {
      const page = await this.#api.log({ ...this.#filter, limit: '25', ...(this.#before !== null && { before: String(this.#before) }) });
      if (turn !== this.#turn) return;
      this.#before = page.nextBefore;
      if (anew) byId('log').replaceChildren();
      byId('log').append(...page.items.map(row));
      byId('log-older').hidden = page.nextBefore === null;
      const empty = byId('log').children.length === 0;
      if (empty) byId('log').append(el('tr', {}, el('td', { colspan: '9' }, 'No such notification.')));
      showText(byId('log-error'), null);
    } catch (error) {
      showText(byId('log-error'), (error as Error).message);
    }
  }
}

function row(entry: NotificationLogPage['items'][number]): HTMLElement {
  const grade = { confirmed: 'good', sent: 'fair', waiting: 'poor' }[entry.outcome];
  const outcome = el('span', { ...(grade && { 'data-grade': grade }) }, entry.outcome);
  const cells = [entry.id, entry.userId ?? '', entry.sequence, entry.event, entry.analysisId ?? '', ago(entry.createdAt), outcome, entry.retryCount, entry.confirmedBy ?? ''];
  return el('tr', {}, ...cells.map((cell) => el('td', {}, cell instanceof HTMLElement ? cell : String(cell))));
}
