import { byId } from '../dom.js';
import { forget, load, onChange, save, type Session } from '../session.js';
import { signIn } from '../sign-in.js';
import { Operations } from './operations.js';

let operations: Operations | null = null;
let user: string | undefined;

function enter(session: Session): void {
  save(session);
  user = session.user;
  operations = new Operations(session, (why) => leave(why));
}

function leave(message: string | null): void {
  const left = operations;
  operations = null;
  user = undefined;
  forget();
  void left?.leave();
  signIn(message, enter);
}

byId('sign-out').addEventListener('click', () => leave(null));

const session = load();
if (session) enter(session);
else signIn(null, enter);

onChange(() => {
  if (load()?.user !== user) location.reload();
});
