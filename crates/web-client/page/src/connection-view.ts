import type { ConnectionState } from 'tendril-client';
import { byId } from './dom.js';

const WORDS: Record<ConnectionState['status'], string> = {
  stopped: 'Signed out',
  connecting: 'Connecting',
  connected: 'Connected',
  reconnecting: 'Reconnecting',
  offline: 'Offline',
  unauthorized: 'Signed out',
};

/** Said once for each change; the countdown would be read out every second. */
const ANNOUNCED: Partial<Record<ConnectionState['status'], string>> = {
  connected: 'Connected.',
  reconnecting: 'The connection was lost. It is being made again.',
  offline: 'This device is offline.',
};

let countdown: ReturnType<typeof setInterval> | undefined;
let announced: ConnectionState['status'] = 'connecting';

/** Shows how the connection stands, and when it is tried next. */
export function showConnection(state: ConnectionState): void {
  const { status } = state;
  const reason = status === 'reconnecting' ? state.reason : null;
  byId('connection').dataset['status'] = status;
  byId('connection').title = reason ?? '';
  byId('connection-text').textContent = reason ?? WORDS[status];
  clearInterval(countdown);
  showCountdown(state);
  countdown = setInterval(() => showCountdown(state), 250);
  if (status !== announced && ANNOUNCED[status]) byId('announcer').textContent = reason ?? ANNOUNCED[status];
  if (ANNOUNCED[status]) announced = status;
}

function showCountdown(state: ConnectionState): void {
  const next = 'nextTry' in state ? state.nextTry : null;
  const seconds = next ? Math.max(0, Math.ceil((next.getTime() - Date.now()) / 1000)) : 0;
  byId('connection-countdown').textContent = next && seconds > 0 ? `in ${seconds} s` : '';
  byId('connection-retry').hidden = seconds < 2;
}
