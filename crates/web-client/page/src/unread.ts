import type { UnreadCount } from 'tendril-client';
import type { Ended } from './words.js';

/** At most so many entries are kept here. */
const SHOWN = 100;

/** How much of the log has come. */
interface Arrived {
  /** Up to here all entries that are shown on this page have come. */
  position(): number;
  /** Whether entries come as they are logged, so that nothing is on its way for long. */
  isLive(): boolean;
}

/**
 * What the user has not seen. The hub keeps one position a user: everything up to it was seen.
 * So what is looked at out of order waits here until what is before it was seen, too.
 */
export class Unread {
  readonly #changed: () => void;
  readonly #acknowledge: (sequence: number) => void;
  readonly #arrived: Arrived;
  readonly #entries = new Map<number, Ended>();
  readonly #seen = new Set<number>();
  #acknowledged = 0;
  #head = 0;
  /** Up to here there may have been entries that are not kept. */
  #dropped = 0;

  constructor(changed: () => void, acknowledge: (sequence: number) => void, arrived: Arrived) {
    this.#changed = changed;
    this.#acknowledge = acknowledge;
    this.#arrived = arrived;
  }

  /** Entries of other kinds of jobs are not counted, once it is known which they are. */
  get count(): number {
    const kept = [...this.#entries.keys()].filter((sequence) => this.isUnread(sequence)).length;
    const dropped = Math.max(this.#acknowledged, this.#dropped);
    const gone = this.#unknown(this.#acknowledged, dropped);
    const toCome = this.#arrived.isLive() ? 0 : this.#unknown(Math.max(dropped, this.#arrived.position()), this.#head);
    return kept + gone + toCome;
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

  /**
   * Takes what the hub says; returns the sequence after which entries are wanted. That is never
   * more than what was seen: the hub takes what is not asked for as delivered, to every device.
   */
  told({ unread, acknowledged }: UnreadCount): number {
    this.#head = Math.max(this.#head, acknowledged + unread);
    this.readElsewhere(acknowledged);
    return acknowledged;
  }

  /** Entries up to `head` were not told; gives the sequence after which they are worth loading. */
  gap(head: number): number {
    this.#head = Math.max(this.#head, head);
    this.#dropped = Math.max(this.#dropped, head);
    this.#changed();
    return Math.max(0, head - SHOWN);
  }

  add(entry: Ended): void {
    this.#entries.set(entry.sequence, entry);
    this.#head = Math.max(this.#head, entry.sequence);
    if (this.#entries.size > SHOWN) this.#drop(Math.min(...this.#entries.keys()));
    this.#changed();
  }

  /** The user looks at this analysis. */
  see(analysisId: number): void {
    for (const { analysisId: id, sequence } of this.#entries.values()) {
      if (id === analysisId && this.isUnread(sequence)) this.#seen.add(sequence);
    }
    let upTo = this.#acknowledged;
    for (let each = upTo + 1; this.#seen.has(each) || this.#isOfAnotherKind(each); each += 1) {
      if (this.#seen.has(each)) upTo = each;
    }
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

  /** How many entries behind `after` and up to `last` are neither kept nor seen. */
  #unknown(after: number, last: number): number {
    const known = new Set([...this.#entries.keys(), ...this.#seen]);
    return Math.max(0, last - after - [...known].filter((sequence) => sequence > after && sequence <= last).length);
  }

  /** Sequences of other kinds of jobs are told nowhere on this page. */
  #isOfAnotherKind(sequence: number): boolean {
    return sequence > this.#dropped && sequence <= this.#arrived.position() && !this.#entries.has(sequence);
  }

  #drop(sequence: number): void {
    if (this.isUnread(sequence)) this.#dropped = Math.max(this.#dropped, sequence);
    this.#entries.delete(sequence);
  }

  #moveTo(acknowledged: number): void {
    this.#acknowledged = acknowledged;
    for (const sequence of this.#seen) if (sequence <= acknowledged) this.#seen.delete(sequence);
    this.#changed();
  }
}
