import { byId, el } from '../dom.js';
import type { HealthReport, HealthStatus } from './types.js';

const GRADES: Record<HealthStatus, string> = { Healthy: 'good', Degraded: 'fair', Unhealthy: 'poor' };

/** Each dependency with its figures; null while the hub does not answer. */
export function showHealth(report: HealthReport | null): void {
  const list = byId('health');
  if (!report) {
    list.replaceChildren(el('li', {}, mark('Unhealthy'), el('span', {}, 'The hub does not answer.')));
    return;
  }
  const line = ({ name, status, description, durationMs, data }: HealthReport['checks'][number]) => {
    const figures = Object.entries(data ?? {}).filter(([, value]) => typeof value === 'number' || typeof value === 'string');
    const words = figures.map(([key, value]) => `${key} ${typeof value === 'number' ? Math.round(value * 10) / 10 : value}`).join(' · ');
    const told = el('span', {}, el('strong', {}, name), ` ${description}`, words ? el('br') : null, words ? el('span', { class: 'quiet' }, words) : null);
    return el('li', {}, mark(status), told, el('span', { class: 'quiet' }, `${durationMs.toFixed(1)} ms`));
  };
  list.replaceChildren(...report.checks.map(line));
}

function mark(status: HealthStatus): HTMLElement {
  return el('span', { class: 'mark', 'data-grade': GRADES[status] }, status);
}
