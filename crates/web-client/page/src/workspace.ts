import { type ConnectionState, PlantAnalysisApi, PlantAnalysisClient } from 'tendril-client';
import { Analyses } from './analyses.js';
import { BellView } from './bell-view.js';
import { showConnection } from './connection-view.js';
import { Desktop } from './desktop.js';
import { byId, showText } from './dom.js';
import { ListView } from './list-view.js';
import { ResultView } from './result-view.js';
import { load, type Session } from './session.js';
import { Tabs } from './tabs.js';
import { clearToasts, toast } from './toasts.js';
import { Unread } from './unread.js';
import { uploadForm } from './upload-form.js';
import { gradeOf, isFailed, nameOf, outcomeOf, plural, type Ended } from './words.js';

/** How often the hub is asked while it does not tell by itself, in milliseconds. */
const POLLED_EVERY = 10_000;

/** Everything of one signed-in user; it lasts until signing out. */
export class Workspace {
  readonly #session: Session;
  readonly #api: PlantAnalysisApi;
  readonly #client: PlantAnalysisClient;
  readonly #analyses: Analyses;
  readonly #unread: Unread;
  readonly #tabs: Tabs;
  readonly #desktop = new Desktop((id) => { location.hash = `analysis/${id}`; });
  readonly #bell: BellView;
  readonly #list = new ListView();
  readonly #result = new ResultView();
  readonly #gone = new AbortController();
  readonly #leaveForm: () => void;
  /** What came before the first catch-up was complete is not news: one sentence tells of it. */
  #caughtUp = false;
  /** Set while many entries may come at once: they are drawn together. */
  #drawsLater = false;
  #toAcknowledge = 0;

  constructor(session: Session, refused: (why: string) => void) {
    const { signal } = this.#gone;
    // Another tab may have a newer one; but never another user's, who may have signed in since.
    const token = () => {
      const newest = load();
      return newest?.user === session.user ? newest.token : session.token;
    };
    this.#session = session;
    this.#api = new PlantAnalysisApi({ token });
    this.#analyses = new Analyses(this.#api, () => this.#show(), (error) => showText(byId('list-error'), error?.message ?? null));
    this.#unread = new Unread(() => this.#show(), (sequence) => this.#acknowledge(sequence), {
      position: () => this.#client.sequence,
      isLive: () => this.#client.state.status === 'connected',
    });
    this.#tabs = new Tabs(session.user, (news) => {
      if (news.kind === 'read') this.#unread.readElsewhere(news.acknowledged);
      else void this.#analyses.load(news.analysisId);
    });
    this.#bell = new BellView(this.#unread, this.#desktop, signal);
    this.#leaveForm = uploadForm(this.#api, (id, crop) => this.#sent(id, crop));
    addEventListener('hashchange', () => this.#route(), { signal });
    byId('older').addEventListener('click', () => void this.#analyses.older(), { signal });
    byId('connection-retry').addEventListener('click', () => this.#client.retryNow(), { signal });
    byId('offer-yes').addEventListener('click', () => { byId('offer').hidden = true; void this.#desktop.ask(); }, { signal });
    byId('offer-no').addEventListener('click', () => { byId('offer').hidden = true; this.#desktop.decline(); }, { signal });
    document.addEventListener('visibilitychange', () => this.#lookedAt(), { signal });
    byId('who').textContent = `User ${session.user}`;
    byId('tools').hidden = byId('workspace').hidden = false;
    showConnection({ status: 'connecting' });
    void this.#analyses.refresh();
    this.#client = this.#listen(token, refused);
    this.#client.start();
    this.#route();
    // "3 minutes ago" grows old.
    const clock = setInterval(() => {
      this.#show();
      if (this.#analyses.isStale) void this.#analyses.refresh();
      if (this.#toAcknowledge > 0 && this.#client.state.status === 'connected') this.#acknowledge(this.#toAcknowledge);
    }, 30_000);
    const poll = setInterval(() => this.#poll(), POLLED_EVERY);
    signal.addEventListener('abort', () => [clock, poll].forEach(clearInterval));
  }

  async leave(): Promise<void> {
    this.#gone.abort();
    this.#leaveForm();
    this.#tabs.close();
    this.#bell.close();
    this.#list.clear();
    clearToasts();
    byId('tools').hidden = byId('workspace').hidden = byId('offer').hidden = byId('notice').hidden = true;
    await this.#client.stop();
  }

  #listen(token: () => string, refused: (why: string) => void): PlantAnalysisClient {
    // Entries that the user has seen elsewhere are not asked for.
    const from = async () => this.#unread.told(await this.#api.unreadCount());
    const client = new PlantAnalysisClient({ token, from });
    client.on('state', (state) => this.#stateIs(state, refused));
    client.on('progress', (step) => this.#analyses.progressed(step));
    client.on('completed', (notification) => this.#ended(notification));
    client.on('failed', (notification) => this.#ended(notification));
    client.on('notice', (notice) => showText(byId('notice'), notice && [notice.message, notice.until].filter(Boolean).join(' · ')));
    client.on('resumed', () => this.#resumed());
    client.on('gap', ({ to }) => {
      void this.#loadNewest(this.#unread.gap(to));
      this.#resumed();
    });
    return client;
  }

  #stateIs(state: ConnectionState, refused: (why: string) => void): void {
    if (this.#gone.signal.aborted) return;
    showConnection(state);
    this.#show();
    if (state.status === 'unauthorized') refused('The hub does not accept the token any more. Sign in again.');
  }

  #resumed(): void {
    if (this.#toAcknowledge > 0) this.#acknowledge(this.#toAcknowledge);
    if (this.#caughtUp || this.#analyses.isStale) void this.#analyses.refresh();
    if (this.#caughtUp) {
      // Progress, and what other tabs sent meanwhile, is in no log.
      void this.#countAgain();
      return;
    }
    this.#caughtUp = true;
    const { count } = this.#unread;
    if (count > 0) toast({ title: 'While you were away', text: `${plural(count, 'new notification')}. The bell has them.` });
  }

  /** The hub does not tell what is from before the log that it keeps. */
  async #loadNewest(after: number): Promise<void> {
    const page = await this.#api.notifications(after, 100).catch(() => null);
    for (const { event, payload } of page?.items ?? []) {
      if (event === 'ReceiveAnalysisCompleted' || event === 'ReceiveAnalysisFailed') this.#unread.add(payload as Ended);
    }
  }

  #ended(notification: Ended): void {
    const isLive = this.#client.state.status === 'connected';
    this.#drawsLater = !isLive;
    this.#unread.add(notification);
    this.#analyses.ended(notification, isLive);
    if (this.#isLookedAt(notification.analysisId)) this.#unread.see(notification.analysisId);
    this.#drawsLater = false;
    if (!this.#caughtUp) return;
    const grade = isFailed(notification) || notification.overallHealthScore == null ? undefined : gradeOf(notification.overallHealthScore);
    toast({
      title: isFailed(notification) ? `${nameOf(notification)} failed` : `${nameOf(notification)} is done`,
      text: outcomeOf(notification),
      href: `#analysis/${notification.analysisId}`,
      ...(grade && { grade }),
    });
    void this.#desktop.tell(notification);
  }

  #sent(analysisId: number, cropType: string): void {
    this.#analyses.accepted(analysisId, this.#session.user, cropType);
    this.#tabs.tell({ kind: 'sent', analysisId });
    // Now there is something to wait for: the time to ask.
    byId('offer').hidden = !this.#desktop.isOpenQuestion;
    byId('announcer').textContent = `The photo was sent. Analysis ${analysisId} is under way.`;
    location.hash = `analysis/${analysisId}`;
  }

  #acknowledge(sequence: number): void {
    this.#toAcknowledge = Math.max(this.#toAcknowledge, sequence);
    this.#tabs.tell({ kind: 'read', acknowledged: sequence });
    // Where it fails, it waits for the next connection, or for the clock.
    this.#client.acknowledge(sequence).then(() => {
      if (this.#toAcknowledge <= sequence) this.#toAcknowledge = 0;
    }, () => undefined);
  }

  #lookedAt(): void {
    if (document.hidden) return;
    const selected = selectedAnalysis();
    if (selected !== null) this.#unread.see(selected);
    void this.#countAgain();
  }

  /** Another device may have acknowledged, which the hub tells nobody. */
  async #countAgain(): Promise<void> {
    await this.#api.unreadCount().then((count) => this.#unread.told(count)).catch(() => undefined);
  }

  /** Live updates may be switched off while everything else works. */
  #poll(): void {
    if (document.hidden || this.#client.state.status === 'connected') return;
    void this.#analyses.refresh();
    void this.#countAgain();
  }

  #isLookedAt(analysisId: number): boolean {
    return !document.hidden && selectedAnalysis() === analysisId;
  }

  #route(): void {
    const selected = selectedAnalysis();
    document.body.dataset['view'] = selected === null ? 'list' : 'result';
    if (selected !== null) {
      if (!this.#analyses.get(selected)) void this.#analyses.load(selected);
      if (!document.hidden) this.#unread.see(selected);
    }
    this.#show();
    // On a phone the list gave way to the result: a screen reader has to follow.
    if (selected !== null && matchMedia('(max-width: 860px)').matches) {
      window.scrollTo(0, 0);
      byId('detail').focus({ preventScroll: true });
    }
  }

  #show(): void {
    if (this.#gone.signal.aborted || this.#drawsLater) return;
    const selected = selectedAnalysis();
    if (this.#analyses.isLoaded || this.#analyses.all.length > 0) {
      this.#list.show(this.#analyses.all, selected, (id) => this.#unread.hasUnread(id));
    }
    byId('older').hidden = !this.#analyses.hasOlder;
    this.#result.show((selected !== null && this.#analyses.get(selected)) || null, selected);
    this.#bell.show();
  }
}

/** The analysis that the address names: `#analysis/12`. */
function selectedAnalysis(): number | null {
  const id = /^#analysis\/(\d{1,15})$/.exec(location.hash)?.[1];
  return id === undefined ? null : Number(id);
}
