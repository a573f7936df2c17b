import { byId, el } from '../dom.js';
import { plural } from '../words.js';
import type { AllNodes } from './types.js';

const TRANSPORTS = ['WebSockets', 'ServerSentEvents', 'LongPolling'];

const number = new Intl.NumberFormat('en');

/** Who is connected to which of several hubs; a hub that is told of no others never sends it. */
export function showNodes({ nodes, silent }: AllNodes): void {
  const missing = silent > 0 ? ` ${plural(silent, 'hub')} did not answer.` : '';
  byId('nodes-text').textContent = `${plural(nodes.length, 'hub')} of the same log.${missing}`;
  byId('nodes').replaceChildren(...nodes.map(node));
  byId('nodes-card').hidden = false;
}

export function hideNodes(): void {
  byId('nodes-card').hidden = true;
  byId('nodes').replaceChildren();
}

function node({ node, version, upSeconds, connections }: AllNodes['nodes'][number], place: number): HTMLElement {
  const counts = TRANSPORTS.map((transport) => connections[transport] ?? 0);
  const all = Object.values(connections).reduce((sum, count) => sum + count, 0);
  return el('tr', {},
    el('th', { scope: 'row' }, el('code', {}, node.slice(0, 8)), place === 0 ? ' (this one)' : null),
    el('td', {}, version),
    el('td', {}, lasting(upSeconds)),
    ...[...counts, all].map((count) => el('td', { class: 'count' }, number.format(count))));
}

/** "3 min", "5 h", "12 d" */
function lasting(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}
