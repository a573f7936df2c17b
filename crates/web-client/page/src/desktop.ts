import { nameOf, outcomeOf, type Ended } from './words.js';

/** Held by every tab that is looked at: hidden ones then keep quiet. */
const LOOKED_AT = 'tendril.looked-at';

const DECLINED = 'tendril.no-notifications';

/** Notifications of the system, for when no tab of this page is looked at. */
export class Desktop {
  readonly #open: (analysisId: number) => void;
  #release: (() => void) | null = null;

  constructor(open: (analysisId: number) => void) {
    this.#open = open;
    document.addEventListener('visibilitychange', () => this.#hold());
    this.#hold();
  }

  get permission(): NotificationPermission | 'unsupported' {
    return 'Notification' in window ? Notification.permission : 'unsupported';
  }

  /** Whether it makes sense to offer them: possible, not decided, and not declined here before. */
  get isOpenQuestion(): boolean {
    return this.permission === 'default' && localStorage.getItem(DECLINED) === null;
  }

  decline(): void {
    localStorage.setItem(DECLINED, 'yes');
  }

  /** Only from a click or a key: browsers refuse questions that nobody asked for. */
  async ask(): Promise<boolean> {
    if (this.permission === 'unsupported') return false;
    return (await Notification.requestPermission()) === 'granted';
  }

  async tell(ended: Ended): Promise<void> {
    if (this.permission !== 'granted' || !document.hidden || (await isLookedAt())) return;
    try {
      // The tag makes several hidden tabs show it once.
      const shown = new Notification(nameOf(ended), { body: outcomeOf(ended), tag: `tendril-${ended.analysisId}`, icon: icon() });
      shown.onclick = () => {
        window.focus();
        this.#open(ended.analysisId);
        shown.close();
      };
    } catch {
      // Chrome on Android has the permission but only shows those of a service worker.
    }
  }

  #hold(): void {
    if (document.hidden) {
      this.#release?.();
      this.#release = null;
    } else if (!this.#release && 'locks' in navigator) {
      let release = () => {};
      const until = new Promise<void>((resolve) => (release = resolve));
      this.#release = release;
      void navigator.locks.request(LOOKED_AT, { mode: 'shared' }, () => until);
    }
  }
}

async function isLookedAt(): Promise<boolean> {
  if (!('locks' in navigator)) return false;
  const { held = [] } = await navigator.locks.query();
  return held.some(({ name }) => name === LOOKED_AT);
}

function icon(): string {
  return document.querySelector<HTMLLinkElement>('link[rel=icon]')?.href ?? '';
}
