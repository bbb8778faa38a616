/** How long to wait before the next attempt to connect: doubling, bounded, with jitter. */

/** The first wait's upper bound. */
export const BACKOFF_FIRST_MS = 500;
/** No wait is longer than this. */
export const BACKOFF_MAX_MS = 20_000;

/** Half of the bound is fixed and half is random, so that a thousand clients do not return at once. */
export function backoffMs(attempt: number, random: () => number): number {
  const bound = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(attempt, 16));
  return Math.round(bound / 2 + (bound / 2) * random());
}
