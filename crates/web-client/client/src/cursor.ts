import type { Resumed } from './generated.js';

/** The last entry of the user's log that this client has. */
export interface Cursor {
  /** Which log the sequence is of; null while that is not known. */
  readonly epoch: string | null;
  readonly sequence: number;
}

/** Where a cursor outlives the client, e.g. in `localStorage`. */
export interface CursorStore {
  load(): Cursor | null;
  save(cursor: Cursor): void;
}

/** Keeps the cursor under a key of `localStorage`; one key for each user. */
export function localStorageCursor(key: string): CursorStore {
  return {
    load() {
      try {
        const cursor: unknown = JSON.parse(localStorage.getItem(key) ?? 'null');
        return isCursor(cursor) ? cursor : null;
      } catch {
        return null;
      }
    },
    save(cursor) {
      try {
        localStorage.setItem(key, JSON.stringify(cursor));
      } catch {
        // Storage may be full or forbidden: then the next start begins with what nobody confirmed.
      }
    },
  };
}

function isCursor(value: unknown): value is Cursor {
  const { epoch, sequence } = (value ?? {}) as Partial<Cursor>;
  return (epoch === null || typeof epoch === 'string') && Number.isSafeInteger(sequence) && sequence! >= 0;
}

/**
 * Which entries of the log this client has: it tells repeats from news.
 *
 * Before `Resume` was answered entries may come with holes: what another device has confirmed is
 * left out. So the position moves only over what came without a hole, or was told by `Resume`;
 * what lies beyond is remembered by itself. After the answer everything comes in order, and a
 * hole is an entry of a kind that nobody listens for.
 */
export class LogPosition {
  #epoch: string | null;
  #sequence: number;
  #inOrder = false;
  #beyond = new Set<number>();

  constructor(start: Cursor = { epoch: null, sequence: 0 }) {
    this.#epoch = start.epoch;
    this.#sequence = start.sequence;
  }

  get cursor(): Cursor {
    return { epoch: this.#epoch, sequence: this.#sequence };
  }

  /** The argument of `Resume`. */
  get argument(): string | number {
    return this.#epoch === null ? this.#sequence : `${this.#epoch}:${this.#sequence}`;
  }

  /** What comes now comes over a connection on which `Resume` was not answered yet. */
  connecting(): void {
    this.#inOrder = false;
  }

  /** Takes note of an entry; false when it is here already. */
  take(sequence: number): boolean {
    if (sequence <= this.#sequence || this.#beyond.has(sequence)) return false;
    if (this.#inOrder) {
      this.#sequence = sequence;
      return true;
    }
    this.#beyond.add(sequence);
    while (this.#beyond.delete(this.#sequence + 1)) this.#sequence += 1;
    return true;
  }

  /**
   * Takes note of what `Resume` answered: everything up to `to` has come, and what came beyond
   * came after it and in order. After an incomplete one the sequences may be those of another
   * log, so what was remembered is forgotten.
   */
  resumed({ epoch, to, complete }: Resumed): void {
    const beyond = complete ? [...this.#beyond] : [];
    this.#sequence = beyond.reduce((last, each) => Math.max(last, each), complete ? Math.max(this.#sequence, to) : to);
    this.#beyond.clear();
    this.#epoch = epoch;
    this.#inOrder = true;
  }
}
