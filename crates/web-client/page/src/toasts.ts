import { byId, el } from './dom.js';

const SHOWN_FOR = 9_000;
const MOST = 4;

export interface Toast {
  readonly title: string;
  readonly text: string;
  readonly href?: string;
  readonly grade?: string;
}

/** Tells something in a corner for a while; longer while it is pointed at or has the focus. */
export function toast({ title, text, href, grade }: Toast): void {
  const corner = byId('toasts');
  const close = el('button', { class: 'close', type: 'button', 'aria-label': 'Close' }, '×');
  const heading = href ? el('a', { href }, title) : el('strong', {}, title);
  const shown = el('div', { class: 'toast', ...(grade && { 'data-grade': grade }) }, heading, el('p', {}, text), close);
  let timer: ReturnType<typeof setTimeout>;
  const remove = () => {
    clearTimeout(timer);
    shown.remove();
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(remove, SHOWN_FOR);
  };
  close.onclick = remove;
  heading.addEventListener('click', remove);
  shown.onpointerenter = shown.onfocus = () => clearTimeout(timer);
  shown.onpointerleave = later;
  shown.addEventListener('focusin', () => clearTimeout(timer));
  shown.addEventListener('focusout', later);
  corner.append(shown);
  while (corner.children.length > MOST) corner.firstElementChild?.remove();
  later();
}

export function clearToasts(): void {
  byId('toasts').replaceChildren();
}
