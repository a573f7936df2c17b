import { byId, el } from '../dom.js';
import { ago, plural } from '../words.js';
import type { Work, WorkerState } from './types.js';

const STATES: Record<WorkerState, readonly [grade: string, words: string]> = {
  working: ['good', 'working'],
  waiting: ['good', 'waits for a job'],
  silent: ['fair', 'silent'],
};

/** Who works on what, and what went wrong lately. */
export function showWork({ workers, setbacks }: Work): void {
  const working = workers.filter(({ state }) => state === 'working').length;
  byId('workers-text').textContent = workers.length === 0
    ? 'No worker holds a job, and none has asked this node for one.'
    : `${plural(workers.length, 'worker')}, ${working} working.`;
  byId('workers').replaceChildren(...workers.map(worker));
  byId('setbacks-text').textContent = setbacks.length === 0 ? 'Nothing went wrong lately.' : 'The newest first.';
  byId('setbacks').replaceChildren(...setbacks.map(setback));
}

function worker({ id, state, leased, parked, askedSecondsAgo }: Work['workers'][number]): HTMLElement {
  const [grade, words] = STATES[state];
  const holds = [leased > 0 && `${leased} in work`, parked > 0 && `${parked} wait for an answer`].filter(Boolean).join(' · ');
  const asked = askedSecondsAgo === null ? 'not here' : ago(new Date(Date.now() - askedSecondsAgo * 1000).toISOString());
  return el('tr', {},
    el('td', {}, id),
    el('td', {}, el('span', { class: 'mark', 'data-grade': grade }, words)),
    el('td', {}, holds || 'none'),
    el('td', {}, asked));
}

function setback({ at, analysisId, what, detail }: Work['setbacks'][number]): HTMLElement {
  return el('li', {},
    el('span', {}, el('strong', {}, `Analysis ${analysisId}: ${what}`), detail ? ` ${detail}` : null),
    el('span', { class: 'quiet' }, ago(at)));
}
