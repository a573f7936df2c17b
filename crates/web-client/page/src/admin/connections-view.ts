import { byId, el, showText } from '../dom.js';
import { ago, plural } from '../words.js';
import type { AdminApi } from './admin-api.js';
import type { NodeConnections, UserConnections } from './types.js';

const LISTED = 20;

/** Who is connected, and sending them away. */
export class ConnectionsView {
  readonly #api: AdminApi;

  constructor(api: AdminApi, signal: AbortSignal) {
    this.#api = api;
    byId('connections-form').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#load();
    }, { signal });
    signal.addEventListener('abort', () => byId('connections-found').replaceChildren());
    void this.#load();
  }

  async #load(): Promise<void> {
    const user = byId<HTMLInputElement>('connections-user').value.trim();
    await this.#try(async () => {
      if (user) this.#showUser(user, await this.#api.connections(user));
      else this.#showNode(await this.#api.slowest(LISTED));
    });
  }

  #showNode({ total, connections }: NodeConnections): void {
    const row = ({ connectionId, userId, transport, protocol, waitingBytes }: NodeConnections['connections'][number]) => {
      const close = el('button', { class: 'button small danger', type: 'button', 'aria-label': `Close this connection of user ${userId ?? ''}` }, 'Close');
      close.onclick = () => {
        const question = `Close this connection of user ${userId ?? '(none)'}? An application that connects by itself comes back.`;
        if (confirm(question)) void this.#close(() => this.#api.closeConnection(connectionId));
      };
      return [userId ?? '', transport, protocol, `${waitingBytes} B`, close];
    };
    const rest = total > connections.length ? `, the ${connections.length} slowest of them here` : '';
    this.#show(`${plural(total, 'connection')} on this node${rest}.`, ['User', 'Transport', 'Protocol', 'Waiting', ''], connections.map(row));
  }

  #showUser(user: string, { connections }: UserConnections): void {
    const rows = connections.map(({ transport, hub, connectedAt }) => [transport, hub, ago(connectedAt)]);
    this.#show(`User ${user} has ${plural(connections.length, 'connection')} on all nodes.`, ['Transport', 'Hub', 'Since'], rows);
    if (connections.length === 0) return;
    const close = el('button', { class: 'button small danger', type: 'button' }, 'Close all of them');
    close.onclick = () => {
      const question = `Close ${plural(connections.length, 'connection')} of user ${user}? Applications that connect by themselves come back.`;
      if (confirm(question)) void this.#close(() => this.#api.closeConnections(user));
    };
    byId('connections-found').append(el('p', {}, close));
  }

  #show(text: string, titles: readonly string[], rows: readonly (readonly (string | Node)[])[]): void {
    byId('connections-text').textContent = text;
    const head = el('tr', {}, ...titles.map((title) => (title ? el('th', { scope: 'col' }, title) : el('td'))));
    const body = rows.map((cells) => el('tr', {}, ...cells.map((cell) => el('td', {}, cell))));
    const table = el('table', { class: 'small-table' }, el('thead', {}, head), el('tbody', {}, ...body));
    byId('connections-found').replaceChildren(...(rows.length > 0 ? [table] : []));
  }

  async #close(close: () => Promise<{ readonly closed: number }>): Promise<void> {
    await this.#try(async () => {
      const { closed } = await close();
      const place = buttons().findIndex((button) => button === document.activeElement);
      await this.#load();
      // The button that was pressed is gone: the next one takes its place, and the focus.
      if (place >= 0) (buttons()[place] ?? buttons().at(-1) ?? byId('connections-show')).focus();
      byId('connections-text').textContent = `${plural(closed, 'connection')} closed.`;
    });
  }

  async #try(action: () => Promise<void>): Promise<void> {
    try {
      await action();
      showText(byId('connections-error'), null);
    } catch (error) {
      showText(byId('connections-error'), (error as Error).message);
    }
  }
}

/** Those of the connections that are listed. */
function buttons(): HTMLButtonElement[] {
  return [...byId('connections-found').querySelectorAll('button')];
}
