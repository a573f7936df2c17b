/** What is known of the connection, fit to be shown to a person. */
export type ConnectionState =
  /** Not started, or stopped by its owner. */
  | { readonly status: 'stopped' }
  /** The first attempt is under way. */
  | { readonly status: 'connecting' }
  /** Events come in. */
  | { readonly status: 'connected' }
  /** Lost. `nextTry` is the time of the next attempt, null while one is under way. */
  | {
      readonly status: 'reconnecting';
      readonly attempt: number;
      readonly nextTry: Date | null;
      /** What the hub said for the user when it closed the connection, e.g. that there are too many. */
      readonly reason: string | null;
    }
  /** This device has no network. It is tried all the same, and at once when the network is back. */
  | { readonly status: 'offline'; readonly nextTry: Date | null }
  /** The hub does not accept the token. Nothing is tried until `start()` is called again. */
  | { readonly status: 'unauthorized' };
