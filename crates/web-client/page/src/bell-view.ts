import type { Desktop } from './desktop.js';
import { byId, el, showText } from './dom.js';
import type { Unread } from './unread.js';
import { ago, isFailed, nameOf, outcomeOf, type Ended } from './words.js';

const TITLE = 'Tendril';

/** So many are listed. */
const LISTED = 30;

interface Row {
  readonly item: HTMLLIElement;
  readonly link: HTMLAnchorElement;
  shown: string;
}

/**
 * The bell with its badge, the list behind it, and the count in the page's title. Rows are changed
 * in place, so that the focus stays.
 */
export class BellView {
  readonly #unread: Unread;
  readonly #desktop: Desktop;
  readonly #rows = new Map<number, Row>();

  constructor(unread: Unread, desktop: Desktop, signal: AbortSignal) {
    this.#unread = unread;
    this.#desktop = desktop;
    const [bell, panel] = [byId('bell'), byId('panel')];
    bell.addEventListener('click', () => this.#open(panel.hidden === true), { signal });
    byId('mark-read').addEventListener('click', () => {
      unread.seeAll();
      // The button is gone now.
      bell.focus();
    }, { signal });
    byId('desktop-on').addEventListener('click', async () => { await desktop.ask(); this.#showOffer(); }, { signal });
    panel.addEventListener('click', ({ target }) => (target as Element).closest('a') && this.#open(false), { signal });
    document.addEventListener('keydown', ({ key }) => {
      if (key !== 'Escape' || panel.hidden) return;
      this.#open(false);
      bell.focus();
    }, { signal });
    document.addEventListener('pointerdown', ({ target }) => {
      if (!panel.hidden && !(target as Element).closest('.menu')) this.#open(false);
    }, { signal });
  }

  show(): void {
    const { count, entries } = this.#unread;
    showText(byId('badge'), count === 0 ? null : count > 99 ? '99+' : String(count));
    byId('bell-text').textContent = count === 0 ? 'Notifications' : `Notifications, ${count} unread`;
    byId('mark-read').hidden = count === 0;
    byId('no-entries').hidden = entries.length > 0;
    this.#list(entries.slice(0, LISTED));
    document.title = count === 0 ? TITLE : `(${count}) ${TITLE}`;
    // Where the page is installed as an application, its icon has a badge, too.
    if ('setAppBadge' in navigator) void navigator.setAppBadge(count).catch(() => undefined);
  }

  close(): void {
    this.#open(false);
    this.#list([]);
    document.title = TITLE;
  }

  #open(open: boolean): void {
    byId('panel').hidden = !open;
    byId('bell').setAttribute('aria-expanded', String(open));
    if (open) this.#showOffer();
  }

  #list(entries: readonly Ended[]): void {
    const list = byId('entries');
    for (const [sequence, { item }] of this.#rows) {
      if (entries.some((entry) => entry.sequence === sequence)) continue;
      item.remove();
      this.#rows.delete(sequence);
    }
    entries.forEach((entry, index) => {
      const row = this.#rows.get(entry.sequence) ?? this.#add(entry);
      this.#fill(row, entry);
      if (list.children[index] !== row.item) list.insertBefore(row.item, list.children[index] ?? null);
    });
  }

  #add({ sequence, analysisId }: Ended): Row {
    const link = el('a', { href: `#analysis/${analysisId}` });
    const row = { item: el('li', {}, link), link, shown: '' };
    this.#rows.set(sequence, row);
    return row;
  }

  #fill(row: Row, entry: Ended): void {
    const unread = this.#unread.isUnread(entry.sequence);
    const name = nameOf(entry);
    const outcome = `${outcomeOf(entry)} · ${ago(isFailed(entry) ? entry.timestamp : entry.completedAt)}`;
    const shown = JSON.stringify([unread, name, outcome]);
    if (row.shown === shown) return;
    row.shown = shown;
    row.link.className = unread ? 'entry unread' : 'entry';
    row.link.replaceChildren(
      el('strong', {}, unread && el('span', { class: 'visually-hidden' }, 'Unread: '), name),
      el('span', {}, outcome));
  }

  #showOffer(): void {
    const { permission } = this.#desktop;
    const words = {
      default: 'Also when this tab is in the background?',
      granted: 'Notifications of the system are on.',
      denied: 'Notifications of the system are blocked in the browser.',
      unsupported: '',
    }[permission];
    byId('desktop-offer').hidden = permission === 'unsupported';
    byId('desktop-text').textContent = words;
    byId('desktop-on').hidden = permission !== 'default';
  }
}
