/** One sample of the hub's figures, e.g. `tendril_jobs{state="ready"} 3`. */
interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** The hub's figures at one moment, as Prometheus reads them; what is 0 is left out. */
export class Figures {
  readonly at: number;
  readonly #samples = new Map<string, Sample[]>();

  constructor(text: string, at: number) {
    this.at = at;
    for (const line of text.split('\n')) {
      const [, name, written = '', value] = LINE.exec(line) ?? [];
      if (!name || line.startsWith('#')) continue;
      const labels = Object.fromEntries([...written.matchAll(LABEL)].map(([, label, text]) => [label, text]));
      const samples = this.#samples.get(name) ?? [];
      this.#samples.set(name, samples);
      samples.push({ labels, value: Number(value) });
    }
  }

  /** The sum of all samples of a name with these labels. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.#fitting(name, labels).reduce((sum, { value }) => sum + value, 0);
  }

  /** By the values of one label. */
  by(name: string, label: string): Map<string, number> {
    const sums = new Map<string, number>();
    for (const { labels, value } of this.#fitting(name, {})) {
      const key = labels[label] ?? '';
      sums.set(key, (sums.get(key) ?? 0) + value);
    }
    return sums;
  }

  /** How much a counter grew since `before`, in a second. */
  rate(name: string, before: Figures, labels: Readonly<Record<string, string>> = {}): number | null {
    const [now, then] = [this.sum(name, labels), before.sum(name, labels)];
    const seconds = (this.at - before.at) / 1000;
    // A hub that was started again counts from 0.
    return now < then || seconds <= 0 ? null : (now - then) / seconds;
  }

  /** The quantile of what a histogram took up since `before`; null where that was nothing. */
  quantile(name: string, q: number, before: Figures): number | null {
    const grown = (le: string) => this.sum(`${name}_bucket`, { le }) - before.sum(`${name}_bucket`, { le });
    const bounds = [...this.by(`${name}_bucket`, 'le').keys()].sort((one, other) => bound(one) - bound(other));
    const last = bounds.at(-1);
    const total = last === undefined ? 0 : grown(last);
    if (total <= 0) return null;
    let [lower, below] = [0, 0];
    for (const le of bounds) {
      const upTo = grown(le);
      if (upTo >= q * total) {
        const upper = bound(le);
        if (!Number.isFinite(upper)) return lower;
        return lower + ((upper - lower) * (q * total - below)) / Math.max(1, upTo - below);
      }
      [lower, below] = [bound(le), upTo];
    }
    return lower;
  }

  #fitting(name: string, labels: Readonly<Record<string, string>>): Sample[] {
    const wanted = Object.entries(labels);
    return (this.#samples.get(name) ?? []).filter((sample) => wanted.every(([label, text]) => sample.labels[label] === text));
  }
}

function bound(le: string): number {
  return le === '+Inf' ? Infinity : Number(le);
}
