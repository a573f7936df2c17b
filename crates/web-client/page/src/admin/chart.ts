import { el } from '../dom.js';

/** An hour, at one value a second. */
const KEPT = 3600;

/** The most that is drawn: five minutes. */
const MOST_SHOWN = 300;

/** The least: a page that was just opened draws its first minute from the right. */
const LEAST_SHOWN = 60;

/** A line over the last minutes. Memory and work do not grow with time. */
export class Chart {
  readonly canvas = el('canvas', { 'aria-hidden': 'true' });
  readonly #values = new Float32Array(KEPT).fill(NaN);
  #next = 0;
  #added = 0;

  add(value: number | null): void {
    this.#values[this.#next] = value ?? NaN;
    this.#next = (this.#next + 1) % KEPT;
    this.#added = Math.min(this.#added + 1, MOST_SHOWN);
  }

  draw(): void {
    const { canvas } = this;
    const scale = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const context = canvas.getContext('2d');
    // Nothing is drawn for a tab that nobody looks at.
    if (!context || width === 0 || document.hidden) return;
    if (canvas.width !== Math.round(width * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    const style = getComputedStyle(canvas);
    const shown = Math.max(this.#added, LEAST_SHOWN);
    const values = this.#last(shown);
    const most = values.reduce((most, value) => (value > most ? value : most), 0) || 1;
    const x = (index: number) => (index / (shown - 1)) * width;
    const y = (value: number) => height - 2 - (value / most) * (height - 6);
    context.beginPath();
    let drawing = false;
    values.forEach((value, index) => {
      if (Number.isNaN(value)) drawing = false;
      else if (drawing) context.lineTo(x(index), y(value));
      else context.moveTo(x(index), y(value));
      drawing = !Number.isNaN(value);
    });
    context.strokeStyle = style.getPropertyValue('--accent').trim() || '#1c6b3c';
    context.lineWidth = 1.75;
    context.lineJoin = 'round';
    context.stroke();
    context.fillStyle = style.getPropertyValue('--line').trim() || '#ccc';
    context.fillRect(0, height - 1, width, 1);
  }

  #last(count: number): Float32Array {
    const last = new Float32Array(count);
    for (let i = 0; i < count; i++) last[i] = this.#values[(this.#next - count + i + KEPT) % KEPT]!;
    return last;
  }
}
