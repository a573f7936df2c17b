import { type FormEvent, useState } from 'react';
import { Analyses, type Session } from './analyses.js';

/** Asks for what an application has from its own sign-in. */
export function App() {
  const [session, setSession] = useState<Session | null>(null);

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setSession({ url: String(form.get('url')), user: String(form.get('user')), token: String(form.get('token')) });
  }

  return (
    <main>
      <h1>Tendril with React</h1>
      {session ? (
        <Analyses {...session} />
      ) : (
        <form onSubmit={submit}>
          <label>
            Hub <input name="url" type="url" defaultValue="http://localhost:8080" required />
          </label>
          <label>
            User <input name="user" required />
          </label>
          <label>
            Token <input name="token" required />
          </label>
          <button>Connect</button>
        </form>
      )}
    </main>
  );
}
