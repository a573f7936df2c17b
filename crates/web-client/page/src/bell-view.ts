import type { Desktop } from './desktop.js';
import { byId, el, showText } from './dom.js';
import type { Unread } from './unread.js';
import { ago, isFailed, nameOf, outcomeOf, type Ended } from './words.js';

const TITLE = 'Tendril';

/** The bell with its badge, the list behind it, and the count in the page's title. */
export class BellView {
  readonly #unread: Unread;
  readonly #desktop: Desktop;

  constructor(unread: Unread, desktop: Desktop, signal: AbortSignal) {
    this.#unread = unread;
    this.#desktop = desktop;
    const [bell, panel] = [byId('bell'), byId('panel')];
    bell.addEventListener('click', () => this.#open(panel.hidden === true), { signal });
    byId('mark-read').addEventListener('click', () => unread.seeAll(), { signal });
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
    byId('entries').replaceChildren(...entries.slice(0, 30).map((entry) => el('li', {}, this.#entry(entry))));
    document.title = count === 0 ? TITLE : `(${count}) ${TITLE}`;
    // Where the page is installed as an application, its icon has a badge, too.
    if ('setAppBadge' in navigator) void navigator.setAppBadge(count).catch(() => undefined);
  }

  close(): void {
    this.#open(false);
    document.title = TITLE;
  }

  #open(open: boolean): void {
    byId('panel').hidden = !open;
    byId('bell').setAttribute('aria-expanded', String(open));
    if (open) this.#showOffer();
  }

  #entry(entry: Ended): HTMLElement {
    const unread = this.#unread.isUnread(entry.sequence);
    const when = ago(isFailed(entry) ? entry.timestamp : entry.completedAt);
    return el('a', { class: unread ? 'entry unread' : 'entry', href: `#analysis/${entry.analysisId}` },
      el('strong', {}, unread && el('span', { class: 'visually-hidden' }, 'Unread: '), nameOf(entry)),
      el('span', {}, `${outcomeOf(entry)} · ${when}`));
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
