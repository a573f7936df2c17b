import type { DevelopmentToken, DevelopmentTokenRequest, Problem } from 'tendril-client';
import { byId, showText } from './dom.js';
import { read, type Session } from './session.js';

/** Shows the ways to sign in, until one of them works. */
export function signIn(message: string | null, signedIn: (session: Session) => void): void {
  const development = document.documentElement.dataset['signIn'] === 'development';
  const section = byId('sign-in');
  const users = byId('users');
  const otherUser = byId<HTMLFormElement>('other-user-form');
  const tokenForm = byId<HTMLFormElement>('token-form');
  const error = byId('sign-in-error');
  const accept = (token: string) => {
    // Two clicks are answered by two tokens; one was enough.
    if (section.hidden) return;
    const session = read(token);
    if (!session) return showText(error, 'This is no token that is valid now.');
    section.hidden = true;
    tokenForm.reset();
    otherUser.reset();
    signedIn(session);
  };

  const asUser = async (user: string) => {
    showText(error, null);
    try {
      accept(await developmentToken(user));
    } catch (cause) {
      showText(error, (cause as Error).message);
      byId<HTMLDetailsElement>('by-token').open = true;
    }
  };

  showText(error, message);
  users.hidden = !development;
  byId<HTMLDetailsElement>('by-token').open = !development || message !== null;
  section.hidden = false;
  for (const button of users.querySelectorAll<HTMLButtonElement>('[data-user]')) {
    button.onclick = () => void asUser(button.dataset['user']!);
  }
  otherUser.onsubmit = (event) => {
    event.preventDefault();
    void asUser(byId<HTMLInputElement>('other-user').value.trim());
  };
  tokenForm.onsubmit = (event) => {
    event.preventDefault();
    accept(byId<HTMLTextAreaElement>('token').value);
  };
}

async function developmentToken(userId: string): Promise<string> {
  const role = document.documentElement.dataset['role'];
  const wanted: DevelopmentTokenRequest = { userId, roles: role ? [role] : [] };
  const response = await fetch('/api/development/token', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(wanted),
  }).catch(() => {
    throw new Error('The hub cannot be reached.');
  });
  const answer: unknown = await response.json().catch(() => null);
  if (!response.ok) throw new Error((answer as Problem | null)?.detail ?? `The hub answered ${response.status}.`);
  return (answer as DevelopmentToken).token;
}
