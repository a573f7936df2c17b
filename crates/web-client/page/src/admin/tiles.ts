import { byId, el } from '../dom.js';
import { Chart } from './chart.js';
import type { Figures } from './figures.js';

/** One figure: what it is now, in words beside it, and its course. */
interface Reading {
  readonly value: number | null;
  readonly text: string;
  readonly detail: string;
  /** Somebody should look. */
  readonly alarming?: boolean;
}

type Read = (now: Figures, before: Figures) => Reading;

const number = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

const TILES: readonly (readonly [string, Read])[] = [
  ['Connections', connections],
  ['Notifications a second', notifications],
  ['Delivery, 99 of 100', delivery],
  ['Open jobs', jobs],
  ['Attempts that failed, a second', attempts],
  ['Messages a second', messages],
  ['Refused or denied, a second', denied],
  ['Reconnects a second', reconnects],
];

/** The tiles with their charts. */
export class Tiles {
  readonly #tiles = TILES.map(([title, read]) => {
    const chart = new Chart();
    const now = el('p', { class: 'now' }, '–');
    const detail = el('p', { class: 'detail-line' });
    const tile = el('section', { class: 'card tile', 'aria-label': title }, el('h2', {}, title), now, detail, chart.canvas);
    return { read, chart, now, detail, tile };
  });

  constructor() {
    byId('tiles').replaceChildren(...this.#tiles.map(({ tile }) => tile));
    addEventListener('resize', () => this.draw());
    document.addEventListener('visibilitychange', () => this.draw());
  }

  show(now: Figures, before: Figures): void {
    for (const { read, chart, now: shown, detail, tile } of this.#tiles) {
      const { value, text, detail: words, alarming } = read(now, before);
      chart.add(value);
      shown.textContent = text;
      detail.textContent = words;
      if (alarming) tile.dataset['grade'] = 'poor';
      else delete tile.dataset['grade'];
    }
    this.draw();
  }

  /** A gap in what is known is a gap in the line. */
  missed(): void {
    for (const { chart } of this.#tiles) chart.add(null);
  }

  draw(): void {
    for (const { chart } of this.#tiles) chart.draw();
  }
}

function connections(now: Figures): Reading {
  const open = now.sum('tendril_signalr_connections');
  const by = [...now.by('tendril_signalr_connections', 'transport')].filter(([, count]) => count > 0);
  const peak = now.sum('tendril_signalr_connections_peak');
  const slow = now.sum('tendril_signalr_slow_clients');
  const detail = [...by.map(([name, count]) => `${name} ${number.format(count)}`), `peak ${number.format(peak)}`];
  if (slow > 0) detail.unshift(`${number.format(slow)} slow`);
  return { value: open, text: whole(open), detail: detail.join(' · ') };
}

function notifications(now: Figures, before: Figures): Reading {
  const each = now.rate('tendril_notifications_total', before);
  const failed = now.rate('tendril_notifications_total', before, { outcome: 'failed' });
  const waiting = now.rate('tendril_notifications_total', before, { outcome: 'waiting' });
  const total = now.sum('tendril_notifications_total');
  const parts = [`${whole(total)} in all`, waiting && `${small(waiting)}/s to nobody here`, failed && `${small(failed)}/s failed`];
  const detail = parts.filter(Boolean).join(' · ');
  return { value: each, text: small(each), detail, alarming: (failed ?? 0) > 0 };
}

function delivery(now: Figures, before: Figures): Reading {
  const at = (q: number) => now.quantile('tendril_notification_delivery_seconds', q, before);
  const [half, most, nearly] = [at(0.5), at(0.95), at(0.99)];
  const detail = half === null ? 'nothing arrived in this second' : `half ${time(half)} · 95 of 100 ${time(most)}`;
  return { value: nearly, text: time(nearly), detail, alarming: (nearly ?? 0) > 1 };
}

function jobs(now: Figures): Reading {
  const by = now.by('tendril_jobs', 'state');
  const known = now.sum('tendril_database_up') > 0;
  const open = known ? now.sum('tendril_jobs') : null;
  const oldest = now.sum('tendril_job_oldest_ready_seconds');
  const states = [...by].map(([state, count]) => `${state} ${number.format(count)}`).join(' · ');
  const detail = oldest > 1 ? `${states} · oldest ready ${time(oldest)}` : states;
  return { value: open, text: known ? whole(open) : 'unknown', detail: detail || 'none', alarming: !known || oldest > 60 };
}

function attempts(now: Figures, before: Figures): Reading {
  const bad = ['failed', 'exhausted', 'expired', 'ended'];
  const rates = bad.map((outcome) => now.rate('tendril_job_attempts_total', before, { outcome }) ?? 0);
  const sum = rates.reduce((all, rate) => all + rate, 0);
  const totals = ['completed', 'retried', ...bad].map((outcome) => [outcome, now.sum('tendril_job_attempts_total', { outcome })] as const);
  const detail = totals.filter(([, count]) => count > 0).map(([outcome, count]) => `${outcome} ${number.format(count)}`).join(' · ');
  return { value: sum, text: small(sum), detail, alarming: sum > 0 };
}

function messages(now: Figures, before: Figures): Reading {
  const sent = now.rate('tendril_signalr_messages_total', before, { direction: 'sent' });
  const received = now.rate('tendril_signalr_messages_total', before, { direction: 'received' });
  return { value: sent, text: small(sent), detail: `sent; received ${small(received)}/s` };
}

function denied(now: Figures, before: Figures): Reading {
  const each = now.rate('tendril_denied_total', before);
  const by = [...now.by('tendril_denied_total', 'reason')].filter(([, count]) => count > 0);
  return { value: each, text: small(each), detail: by.map(([why, count]) => `${why} ${number.format(count)}`).join(' · ') || 'none so far' };
}

function reconnects(now: Figures, before: Figures): Reading {
  const each = now.rate('tendril_signalr_reconnects_total', before);
  const closed = [...now.by('tendril_signalr_connections_closed_total', 'reason')].filter(([, count]) => count > 0);
  closed.sort(([, one], [, other]) => other - one);
  return { value: each, text: small(each), detail: closed.slice(0, 3).map(([why, count]) => `${why} ${number.format(count)}`).join(' · ') };
}

function whole(value: number | null): string {
  return value === null ? '–' : number.format(value);
}

function small(value: number | null): string {
  if (value === null) return '–';
  return value === 0 || value >= 10 ? number.format(value) : value.toFixed(1);
}

function time(seconds: number | null): string {
  if (seconds === null) return '–';
  if (seconds >= 60) return `${Math.floor(seconds / 60)} min`;
  return seconds >= 1 ? `${seconds.toFixed(1)} s` : `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
}
