import { type FormEvent, useState } from 'react';
import { Analyses } from './analyses.js';

/** Where the hub is and who asks; an application has these from its own sign-in. */
export function App() {
  const [session, setSession] = useState<{ url: string; token: string } | null>(null);

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setSession({ url: String(form.get('url')), token: String(form.get('token')) });
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
            Token <input name="token" required />
          </label>
          <button>Connect</button>
        </form>
      )}
    </main>
  );
}
