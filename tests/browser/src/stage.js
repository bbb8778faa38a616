/** A server and the browsers in front of it, opened together and closed together. */

import { Person, launch } from './browser.js';
import { Server } from './server.js';

/** @import { Browser } from 'playwright-core' */

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

/** Opens a server, and two people in its lobby, each in a browser. */
export async function openTalk() {
  const { server, browsers, close } = await openStage(2);
  try {
    const [first, second] = /** @type {[Browser, Browser]} */ (browsers);
    const ann = await Person.enter(first, server, 'Ann', 'lobby');
    const ben = await Person.enter(second, server, 'Ben', 'lobby');
    return { server, browsers: /** @type {[Browser, Browser]} */ (browsers), ann, ben, close };
  } catch (error) {
    await close();
    throw error;
  }
}
