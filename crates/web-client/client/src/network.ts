import type { Unsubscribe } from './events.js';

/** What a device tells of its network. */
export interface NetworkListener {
  /** It is there again, or the page is looked at again: now is a good time to try. */
  back(): void;
  /** It is gone. */
  gone(): void;
}

/** Listens to the browser; elsewhere there is nothing to listen to. */
export function listenToNetwork({ back, gone }: NetworkListener): Unsubscribe {
  if (typeof window === 'undefined') return () => undefined;
  const visible = () => {
    if (document.visibilityState === 'visible') back();
  };
  window.addEventListener('online', back);
  window.addEventListener('offline', gone);
  // A page that comes out of the back/forward cache, or a phone that wakes up: timers slept.
  window.addEventListener('pageshow', visible);
  document.addEventListener('visibilitychange', visible);
  return () => {
    window.removeEventListener('online', back);
    window.removeEventListener('offline', gone);
    window.removeEventListener('pageshow', visible);
    document.removeEventListener('visibilitychange', visible);
  };
}
