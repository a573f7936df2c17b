/** How long to wait before each attempt. */
export interface BackoffOptions {
  /** Before the second attempt, in milliseconds. Default 1,000. */
  readonly first?: number;
  /** The longest wait, in milliseconds. Default 30,000. */
  readonly longest?: number;
}

/**
 * The wait before attempt number `attempt` (from 1): it doubles up to the longest, and
 * half of it is chance, so that clients of a hub that went away do not all come back at once.
 */
export function delayBefore(attempt: number, options: BackoffOptions = {}, random: () => number = Math.random): number {
  const { first = 1_000, longest = 30_000 } = options;
  // A short outage is a deploy or a change of networks: the first attempt follows almost at once.
  const full = attempt <= 1 ? first / 2 : Math.min(longest, first * 2 ** (attempt - 1));
  return Math.round(full / 2 + (full / 2) * random());
}
