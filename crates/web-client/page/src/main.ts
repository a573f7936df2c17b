import { byId } from './dom.js';
import { forget, load, onChange, save, type Session } from './session.js';
import { signIn } from './sign-in.js';
import { Workspace } from './workspace.js';

let workspace: Workspace | null = null;
let user: string | undefined;

function enter(session: Session): void {
  save(session);
  user = session.user;
  workspace = new Workspace(session, () => leave('The hub does not accept the token any more. Sign in again.'));
}

function leave(message: string | null): void {
  const left = workspace;
  workspace = null;
  user = undefined;
  forget();
  void left?.leave();
  signIn(message, enter);
}

byId('sign-out').addEventListener('click', () => leave(null));
const session = load();
if (session) enter(session);
else signIn(null, enter);

// Tabs of one browser have one user: whoever signs in or out elsewhere does so here.
onChange(() => {
  if (load()?.user !== user) location.reload();
});
