import type { Analysis, AnalysisResult, Symptom } from 'tendril-client';
import { byId, el, svg } from './dom.js';
import { ago, capital, gradeOf, nameOf, ownPicture, percent } from './words.js';

const COLOUR = /^#[0-9a-f]{6}$/i;

/** One analysis in full: under way, done or failed. */
export class ResultView {
  #shown = '';
  #side: 'symptoms' | 'photo' = 'symptoms';
  #id: number | null = null;
  /** One for all results: the focus may be on it while they change. */
  readonly #back = el('a', { class: 'back', href: '#' }, '‹ All analyses');

  show(analysis: Analysis | null, selected: number | null): void {
    const section = byId('detail');
    if (selected !== this.#id) this.#side = 'symptoms';
    this.#id = selected;
    const shown = JSON.stringify([analysis && withoutSignatures(analysis), selected, this.#side]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    section.setAttribute('aria-label', analysis ? `Result of ${nameOf(analysis)}` : 'Result');
    if (!analysis) {
      section.replaceChildren(placeholder(selected));
      return;
    }
    const card = el('div', { class: 'card' }, this.#picture(analysis), el('div', { class: 'finding' }, ...body(analysis)));
    const side = section.contains(document.activeElement) && document.activeElement?.hasAttribute('data-side');
    if (section.firstElementChild === this.#back) section.lastElementChild?.replaceWith(card);
    else section.replaceChildren(this.#back, card);
    // The button that was pressed was made anew.
    if (side) section.querySelector<HTMLElement>(`[data-side=${this.#side}]`)?.focus();
  }

  #picture(analysis: Analysis): HTMLElement | null {
    const photo = ownPicture(analysis.imageUrl);
    const overlay = ownPicture(analysis.overlayUrl);
    if (!photo && !overlay) {
      if (!analysis.imageUrl) return null;
      const link = el('a', { href: analysis.imageUrl, rel: 'noreferrer', target: '_blank' }, 'The photo');
      return el('p', { class: 'finding' }, link);
    }
    const outlined = overlay !== null && (this.#side === 'symptoms' || !photo);
    const image = el('img', {
      src: (outlined ? overlay : photo) ?? '',
      alt: outlined ? 'The photo with its symptoms outlined' : 'The photo that was sent',
    });
    const button = (side: 'symptoms' | 'photo', text: string) => {
      const made = el('button', { type: 'button', 'data-side': side, 'aria-pressed': String((side === 'symptoms') === outlined) }, text);
      made.onclick = () => {
        this.#side = side;
        this.show(analysis, this.#id);
      };
      return made;
    };
    const both = photo && overlay && el('div', { class: 'switch', role: 'group', 'aria-label': 'Picture' }, button('symptoms', 'Symptoms'), button('photo', 'Photo'));
    return el('div', { class: 'picture' }, image, both);
  }
}

/** Links are signed anew for each answer; that alone is no reason to draw anything again. */
function withoutSignatures(analysis: Analysis): unknown {
  return { ...analysis, imageUrl: analysis.imageUrl?.split('?')[0], overlayUrl: analysis.overlayUrl?.split('?')[0] };
}

function placeholder(selected: number | null): HTMLElement {
  const words = selected === null
    ? 'Choose an analysis, or send a photo. Its result appears here by itself.'
    : `Analysis #${selected} is not among yours, or it cannot be loaded now.`;
  const leaf = svg('svg', { viewBox: '0 0 32 32', 'aria-hidden': 'true' }, svg('use', { href: '#leaf' }));
  return el('div', { class: 'card placeholder' }, leaf, el('p', {}, words), selected !== null && el('a', { href: '#' }, 'All analyses'));
}

function body(analysis: Analysis): (HTMLElement | null)[] {
  const head = (title: string, ring: Element | null, line: string) =>
    el('div', { class: 'headline' }, ring, el('div', {}, el('h2', {}, title), el('p', {}, line)));
  const line = `${nameOf(analysis)} · ${ago(analysis.createdAt)}`;
  if (analysis.status === 'Processing') return [head('The analysis is under way', null, line), working(analysis)];
  if (analysis.status === 'Failed') {
    const advice = el('p', {}, 'You can send another photo: one leaf, close, in daylight.');
    return [head(analysis.errorMessage ?? 'The analysis failed.', null, line), advice];
  }
  const { result } = analysis;
  const score = result?.overallHealthScore;
  return [
    head(result?.primaryConcern ?? 'The analysis is done', score == null ? null : ring(score), line),
    result ? symptoms(result) : null,
    result?.recommendations?.length ? advice(result.recommendations) : null,
    facts(analysis),
    result?.disclaimer ? el('p', { class: 'fine' }, result.disclaimer) : null,
  ];
}

function working({ progress }: Analysis): HTMLElement {
  const percent = progress?.percent ?? 0;
  return el('div', { class: 'working' },
    el('progress', { max: '100', value: String(percent), 'aria-label': 'Progress of the analysis' }),
    el('p', { class: 'step quiet' }, el('span', {}, progress?.message ?? 'Waiting for a worker'), el('span', {}, `${percent} %`)),
    el('p', { class: 'quiet' }, 'You can close this page. You are told when you are back.'));
}

function ring(score: number): Element {
  const length = 2 * Math.PI * 42;
  const of = svg('text', { x: '50', y: '70', class: 'of' }, 'of 100');
  return svg('svg', { class: 'ring', viewBox: '0 0 100 100', role: 'img', 'aria-label': `Health ${score} of 100`, 'data-grade': gradeOf(score) },
    svg('circle', { class: 'track', cx: '50', cy: '50', r: '42' }),
    svg('circle', { class: 'value', cx: '50', cy: '50', r: '42', transform: 'rotate(-90 50 50)', 'stroke-dasharray': `${(length * score) / 100} ${length}` }),
    svg('text', { x: '50', y: '47' }, String(score)), of);
}

function symptoms(result: AnalysisResult): HTMLElement | null {
  const all = result.symptoms ?? [];
  if (all.length === 0) return null;
  const legend = (result.details as { overlayLegend?: Record<string, unknown> } | null)?.overlayLegend ?? {};
  const largest = Math.max(...all.map(({ leafShare }) => leafShare), 0.01);
  const one = ({ kind, leafShare, patches }: Symptom) => {
    const bar = el('i');
    bar.style.width = `${Math.min(100, (leafShare / largest) * 100)}%`;
    const colour = legend[kind];
    if (typeof colour === 'string' && COLOUR.test(colour)) bar.style.background = colour;
    const share = el('span', { class: 'share' }, `${percent(leafShare)} of the leaf, ${patches} ${patches === 1 ? 'patch' : 'patches'}`);
    return el('li', { class: 'symptom' }, el('span', {}, capital(kind)), el('span', { class: 'meter', 'aria-hidden': 'true' }, bar), share);
  };
  return el('div', {}, el('h3', {}, 'Symptoms'), el('ul', { class: 'plain symptoms' }, ...all.map(one)));
}

function advice(recommendations: readonly string[]): HTMLElement {
  return el('div', {}, el('h3', {}, 'What to do'), el('ul', { class: 'advice' }, ...recommendations.map((text) => el('li', {}, text))));
}

function facts({ result, cropType, notes }: Analysis): HTMLElement {
  const all: [string, string | null | undefined][] = [
    ['Severity', result?.severity],
    ['Confidence', result?.confidence == null ? null : percent(result.confidence)],
    ['Leaf in the photo', result?.leafAreaShare == null ? null : percent(result.leafAreaShare)],
    ['Crop', result?.cropType ?? cropType],
    ['Notes', notes],
    ['Analysed by', result?.analyser],
  ];
  const known = all.filter(([, value]) => value);
  return el('dl', { class: 'facts' }, ...known.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value!))));
}
