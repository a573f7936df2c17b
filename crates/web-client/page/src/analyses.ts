import type { Analysis, AnalysisProgress, PlantAnalysisApi } from 'tendril-client';
import type { Ended } from './words.js';

const PAGE = 20;

/** The user's analyses as far as they are loaded, newest first. */
export class Analyses {
  readonly #api: PlantAnalysisApi;
  readonly #changed: () => void;
  readonly #failed: (error: Error | null) => void;
  readonly #byId = new Map<number, Analysis>();
  #nextBefore: number | null = null;
  #loaded = false;
  /** Ended while the log was followed up: loaded once that is done. */
  readonly #late = new Set<number>();

  constructor(api: PlantAnalysisApi, changed: () => void, failed: (error: Error | null) => void) {
    this.#api = api;
    this.#changed = changed;
    this.#failed = failed;
  }

  get all(): Analysis[] {
    return [...this.#byId.values()].sort((one, other) => other.analysisId - one.analysisId);
  }

  get isLoaded(): boolean {
    return this.#loaded;
  }

  get hasOlder(): boolean {
    return this.#nextBefore !== null;
  }

  /** Whether the start, or what ended since, left something to be loaded. */
  get isStale(): boolean {
    return !this.#loaded || this.#late.size > 0;
  }

  get(id: number): Analysis | undefined {
    return this.#byId.get(id);
  }

  /** Loads the newest ones, at the start and after a gap. */
  refresh(): Promise<void> {
    return this.#try(async () => {
      const late = [...this.#late];
      const page = await this.#api.analyses(PAGE);
      // Older pages that were loaded stay; only the first may tell where they end.
      if (!this.#loaded) this.#nextBefore = page.nextBefore ?? null;
      this.#loaded = true;
      for (const analysis of page.items) this.#put(analysis);
      for (const id of late) {
        this.#late.delete(id);
        if (this.#byId.has(id) && !page.items.some(({ analysisId }) => analysisId === id)) void this.load(id);
      }
    });
  }

  older(): Promise<void> {
    return this.#try(async () => {
      const page = await this.#api.analyses(PAGE, this.#nextBefore);
      this.#nextBefore = page.nextBefore ?? null;
      for (const analysis of page.items) this.#put(analysis);
    });
  }

  /** Loads one, e.g. after another tab sent it. */
  async load(id: number): Promise<Analysis | null> {
    let found: Analysis | null = null;
    await this.#try(async () => {
      found = await this.#api.analysis(id);
      this.#put(found);
    });
    return found;
  }

  /** One that was just accepted; the rest is loaded in a moment. */
  accepted(analysisId: number, userId: string, cropType: string): void {
    this.#put({ analysisId, userId, status: 'Processing', cropType: cropType || null, createdAt: new Date().toISOString() });
    this.#changed();
    void this.load(analysisId);
  }

  progressed(step: AnalysisProgress): void {
    const known = this.#byId.get(step.analysisId);
    if (!known) return void this.load(step.analysisId);
    // What is late says nothing of one that has ended.
    if (known.status !== 'Processing') return;
    const { percent, stage, message } = step;
    this.#byId.set(step.analysisId, { ...known, progress: { percent, stage, message } });
    this.#changed();
  }

  /** Shows the outcome at once; what the notification does not carry is loaded, or with the next `refresh`. */
  ended(notification: Ended, loadNow: boolean): void {
    const known = this.#byId.get(notification.analysisId);
    if (known) {
      this.#byId.set(known.analysisId, { ...known, status: notification.status, progress: null });
      this.#changed();
    }
    if (loadNow) void this.load(notification.analysisId);
    else this.#late.add(notification.analysisId);
  }

  #put(analysis: Analysis): void {
    const known = this.#byId.get(analysis.analysisId);
    // An answer may be older than the event that overtook it.
    if (known && known.status !== 'Processing' && analysis.status === 'Processing') return;
    const progress = analysis.status === 'Processing' ? (newer(known?.progress, analysis.progress) ?? null) : null;
    this.#byId.set(analysis.analysisId, { ...analysis, progress });
  }

  async #try(load: () => Promise<void>): Promise<void> {
    try {
      await load();
      this.#failed(null);
    } catch (error) {
      this.#failed(error as Error);
    }
    this.#changed();
  }
}

function newer(one: Analysis['progress'], other: Analysis['progress']): Analysis['progress'] {
  return (one?.percent ?? -1) > (other?.percent ?? -1) ? one : other;
}
