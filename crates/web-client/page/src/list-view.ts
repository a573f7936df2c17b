import type { Analysis } from 'tendril-client';
import { byId, el } from './dom.js';
import { ago, gradeOf, nameOf, ownPicture } from './words.js';

interface Row {
  readonly item: HTMLLIElement;
  readonly picture: HTMLImageElement;
  readonly main: HTMLElement;
  readonly end: HTMLElement;
  readonly link: HTMLAnchorElement;
  shown: string;
}

/** The list of analyses. Rows are changed in place, so that focus and scrolling stay. */
export class ListView {
  readonly #rows = new Map<number, Row>();

  show(analyses: readonly Analysis[], selected: number | null, isNew: (id: number) => boolean): void {
    const list = byId('list');
    list.setAttribute('aria-busy', 'false');
    byId('empty').hidden = analyses.length > 0;
    analyses.forEach((analysis, index) => {
      const row = this.#rows.get(analysis.analysisId) ?? this.#add(analysis.analysisId);
      this.#fill(row, analysis, isNew(analysis.analysisId));
      if (analysis.analysisId === selected) row.link.setAttribute('aria-current', 'true');
      else row.link.removeAttribute('aria-current');
      if (list.children[index] !== row.item) list.insertBefore(row.item, list.children[index] ?? null);
    });
  }

  clear(): void {
    this.#rows.clear();
    byId('list').replaceChildren();
    byId('empty').hidden = true;
  }

  #add(id: number): Row {
    const picture = el('img', { class: 'thumb', alt: '', loading: 'lazy', width: '60', height: '60' });
    const main = el('span', { class: 'row-main' });
    const end = el('span');
    const link = el('a', { class: 'row', href: `#analysis/${id}` }, picture, main, end);
    const row = { item: el('li', { 'data-analysis': String(id) }, link), picture, main, end, link, shown: '' };
    this.#rows.set(id, row);
    return row;
  }

  #fill(row: Row, analysis: Analysis, isNew: boolean): void {
    const { status, progress, result, errorMessage, createdAt } = analysis;
    const when = ago(createdAt);
    const shown = JSON.stringify([status, progress, result?.overallHealthScore, result?.primaryConcern, errorMessage, isNew, when]);
    const source = ownPicture(analysis.imageUrl);
    if (source && row.picture.getAttribute('src') !== source) row.picture.src = source;
    if (row.shown === shown) return;
    row.shown = shown;
    const name = el('strong', {}, isNew && el('span', { class: 'new' }), isNew && el('span', { class: 'visually-hidden' }, 'New: '), nameOf(analysis));
    if (status === 'Processing') {
      const percent = progress?.percent ?? 0;
      const bar = el('progress', { max: '100', value: String(percent), 'aria-label': `Progress of ${nameOf(analysis)}` });
      row.main.replaceChildren(name, el('span', {}, progress?.message ?? 'Waiting for a worker'), bar);
      row.end.replaceChildren(el('span', { class: 'quiet' }, `${percent} %`));
      return;
    }
    const outcome = status === 'Failed' ? errorMessage : result?.primaryConcern;
    row.main.replaceChildren(name, el('span', {}, outcome ?? ''), el('span', {}, when));
    const score = result?.overallHealthScore;
    if (status === 'Failed') row.end.replaceChildren(el('span', { class: 'failed-mark' }, 'Failed'));
    else if (score == null) row.end.replaceChildren();
    else row.end.replaceChildren(el('span', { class: 'score', 'data-grade': gradeOf(score), 'aria-label': `Health ${score} of 100` }, String(score)));
  }
}
