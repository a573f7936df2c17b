/** Who is signed in. The token stays in this browser until it ends, or until signing out. */

/** Operators have a token of their own: both pages may be open beside each other. */
const KEY = document.documentElement.dataset['role'] === 'Admin' ? 'tendril.admin-token' : 'tendril.token';

export interface Session {
  readonly token: string;
  readonly user: string;
  readonly roles: readonly string[];
  readonly expiresAt: Date | null;
}

/** The hub judges tokens; this only reads who one is for. Null for what is no token, or has ended. */
export function read(token: string): Session | null {
  const [, payload, signature] = token.trim().split('.');
  if (!payload || !signature) return null;
  try {
    const bytes = Uint8Array.from(atob(payload.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
    // The claims that the hub reads, in its order; `nameid` is .NET's short name for the URI.
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    const user = claims['userId'] ?? claims[NAME_IDENTIFIER] ?? claims['nameid'] ?? claims['sub'];
    const expiresAt = typeof claims['exp'] === 'number' ? new Date(claims['exp'] * 1000) : null;
    if (user === undefined || (expiresAt && expiresAt.getTime() <= Date.now())) return null;
    const roles = [claims['role'], claims['roles'], claims[ROLE]].flat().filter((role) => typeof role === 'string');
    return { token: token.trim(), user: String(user), roles, expiresAt };
  } catch {
    return null;
  }
}

const NAME_IDENTIFIER = 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier';
const ROLE = 'http://schemas.microsoft.com/ws/2008/06/identity/claims/role';

export function load(): Session | null {
  const token = localStorage.getItem(KEY);
  return token === null ? null : read(token);
}

export function save(session: Session): void {
  localStorage.setItem(KEY, session.token);
}

export function forget(): void {
  localStorage.removeItem(KEY);
}

/** Tells when another tab signs in or out. */
export function onChange(listener: () => void): void {
  addEventListener('storage', ({ key }) => {
    if (key === KEY || key === null) listener();
  });
}
