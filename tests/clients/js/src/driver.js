/** The side that runs this script: it says where the server is, cuts connections and kills the server on request. */

import { createInterface } from 'node:readline';

/**
 * Where the server is, as `tests/src/script.rs` says it.
 *
 * @typedef {object} World
 * @property {4 | 5} version the protocol's level
 * @property {string} host
 * @property {number} tcp
 * @property {number} tls
 * @property {number} ws
 * @property {number} wss
 * @property {number} proxy a way over TCP that can be cut
 * @property {string} authority the file of the certificate to trust
 */

/** @type {World} */
export const world = JSON.parse(process.argv[2] ?? '{}');

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/**
 * Asks for something that only the other side can do, and waits until it is done.
 *
 * @param {'cut' | 'restart'} what
 */
export async function ask(what) {
  say({ ask: what });
  const { value } = await answers.next();
  if (value !== 'done') throw new Error(`asked for "${what}", was told: ${value}`);
}

/**
 * Runs cases one after another, and says how each went.
 *
 * @param {Record<string, () => Promise<void>>} cases
 */
export async function run(cases) {
  let failed = 0;
  for (const [name, body] of Object.entries(cases)) {
    const start = performance.now();
    try {
      await body();
      say({ case: name, ok: true, ms: Math.round(performance.now() - start) });
    } catch (error) {
      failed += 1;
      say({ case: name, ok: false, why: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  }
  process.exit(failed === 0 ? 0 : 1);
}

/** @param {object} line */
function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
