import { byId } from './dom.js';
import { forget, load, onChange, save, type Session } from './session.js';
import { signIn } from './sign-in.js';

/** What a page has for whoever is signed in. `refused` is called when the hub does not accept the token. */
interface Part {
  leave(): Promise<void>;
}
type PartOf = new (session: Session, refused: (why: string) => void) => Part;

/** The program of a page: signing in, its part while somebody is, and signing out. */
export function whileSignedIn(Made: PartOf): void {
  let part: Part | null = null;
  let user: string | undefined;

  const enter = (session: Session) => {
    save(session);
    user = session.user;
    part = new Made(session, leave);
  };

  const leave = (message: string | null) => {
    const left = part;
    part = null;
    user = undefined;
    forget();
    void left?.leave();
    signIn(message, enter);
  };

  byId('sign-out').addEventListener('click', () => leave(null));
  const session = load();
  if (session) enter(session);
  else signIn(null, enter);

  // Tabs of one browser have one user: whoever signs in or out elsewhere does so here.
  onChange(() => {
    if (load()?.user !== user) location.reload();
  });
}
