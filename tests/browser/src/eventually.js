/** Waiting without sleeping: a condition is asked often, and given up late with what it said last. */

import { setTimeout as pause } from 'node:timers/promises';

const POLL_MS = 25;
const PATIENCE_MS = 15_000;

/**
 * Runs `check` until it does not throw, and returns what it returns. Throws its last error when patience ends.
 *
 * @template T
 * @param {string} what
 * @param {() => T | Promise<T>} check
 * @param {number} [patienceMs]
 * @returns {Promise<T>}
 */
export async function eventually(what, check, patienceMs = PATIENCE_MS) {
  const end = Date.now() + patienceMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) {
        const last = error instanceof Error ? error.message : String(error);
        throw new Error(`${what}: not within ${patienceMs} ms\n${last}`, { cause: error });
      }
    }
    await pause(POLL_MS);
  }
}
