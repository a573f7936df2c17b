import type { UnreadCount } from 'tendril-client';
import type { Ended } from './words.js';

/** At most so many entries of the log are asked for at the start. */
const SHOWN = 100;

/**
 * What the user has not seen. The hub keeps one position a user: everything up to it was seen.
 * So what is looked at out of order waits here until what is before it was seen, too.
 */
export class Unread {
  readonly #changed: () => void;
  readonly #acknowledge: (sequence: number) => void;
  readonly #entries = new Map<number, Ended>();
  readonly #seen = new Set<number>();
  #acknowledged = 0;
  #head = 0;

  constructor(changed: () => void, acknowledge: (sequence: number) => void) {
    this.#changed = changed;
    this.#acknowledge = acknowledge;
  }

  get count(): number {
    return Math.max(0, this.#head - this.#acknowledged - this.#seen.size);
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** The newest first. */
  get entries(): Ended[] {
    return [...this.#entries.values()].sort((one, other) => other.sequence - one.sequence);
  }

  isUnread(sequence: number): boolean {
    return sequence > this.#acknowledged && !this.#seen.has(sequence);
  }

  hasUnread(analysisId: number): boolean {
    return [...this.#entries.values()].some((entry) => entry.analysisId === analysisId && this.isUnread(entry.sequence));
  }

  /** Takes what the hub says; returns the sequence after which entries are wanted. */
  told({ unread, acknowledged }: UnreadCount): number {
    this.#head = Math.max(this.#head, acknowledged + unread);
    this.readElsewhere(acknowledged);
    return Math.max(acknowledged, this.#head - SHOWN);
  }

  add(entry: Ended): void {
    this.#entries.set(entry.sequence, entry);
    this.#head = Math.max(this.#head, entry.sequence);
    const oldest = Math.min(...this.#entries.keys());
    if (this.#entries.size > SHOWN) this.#entries.delete(oldest);
    this.#changed();
  }

  /** The user looks at this analysis. */
  see(analysisId: number): void {
    for (const { analysisId: id, sequence } of this.#entries.values()) {
      if (id === analysisId && this.isUnread(sequence)) this.#seen.add(sequence);
    }
    let upTo = this.#acknowledged;
    while (this.#seen.has(upTo + 1)) upTo += 1;
    if (upTo > this.#acknowledged) this.#acknowledge(upTo);
    this.#moveTo(upTo);
  }

  seeAll(): void {
    if (this.#head > this.#acknowledged) this.#acknowledge(this.#head);
    this.#moveTo(this.#head);
  }

  /** Another tab or device acknowledged. */
  readElsewhere(acknowledged: number): void {
    this.#head = Math.max(this.#head, acknowledged);
    this.#moveTo(Math.max(acknowledged, this.#acknowledged));
  }

  #moveTo(acknowledged: number): void {
    this.#acknowledged = acknowledged;
    for (const sequence of this.#seen) if (sequence <= acknowledged) this.#seen.delete(sequence);
    this.#changed();
  }
}
