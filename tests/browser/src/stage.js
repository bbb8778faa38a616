/** A server and the browsers in front of it, opened together and closed together. */

import { launch } from './browser.js';
import { Server } from './server.js';

/**
 * Opens a server, then that many browsers. A server that does not start is told at once, with no browser left over.
 *
 * @param {number} count
 */
export async function openStage(count) {
  const server = await Server.start();
  try {
    const browsers = await Promise.all(Array.from({ length: count }, launch));
    const close = async () => {
      await Promise.all(browsers.map((browser) => browser.close()));
      await server.stop();
    };
    return { server, browsers, close };
  } catch (error) {
    await server.stop();
    throw error;
  }
}
