/** Chromium, and a person who uses the chat in it. */

import assert from 'node:assert/strict';

import { chromium } from 'playwright-core';

import { eventually } from './eventually.js';

/** @import { Browser, BrowserContextOptions, Page } from 'playwright-core' */

const ARGUMENTS = [
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-gpu',
  '--disable-quic',
  '--disable-sync',
  '--no-first-run',
  '--no-sandbox',
];

/** A browser with a profile of its own. */
export function launch() {
  const executablePath = process.env['CHROMIUM_BIN'] ?? '/usr/bin/chromium';
  return chromium.launch({ executablePath, args: ARGUMENTS });
}

/**
 * A page of the server in a profile of its own, and what it complained about.
 *
 * @param {Browser} browser
 * @param {BrowserContextOptions} [options]
 */
export async function openPage(browser, options = {}) {
  // The local authority is trusted by no browser; that its certificates are right is tested in start.test.js.
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  /** @type {string[]} */
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(`uncaught: ${error.message}`));
  page.on('console', (message) => {
    // While the server is down the browser itself reports every attempt to reach it.
    if (message.type() === 'error' && !message.text().includes('WebSocket connection to')) {
      complaints.push(message.text());
    }
  });
  return { page, complaints };
}

/** Somebody who chats. */
export class Person {
  /**
   * @param {string} name
   * @param {Page} page
   * @param {string[]} complaints
   */
  constructor(name, page, complaints) {
    this.name = name;
    this.page = page;
    this.complaints = complaints;
  }

  /**
   * Opens the chat for the first time, gives a name and waits until the room is there.
   *
   * @param {Browser} browser
   * @param {{ url: string }} server
   * @param {string} name
   * @param {string} room
   * @param {BrowserContextOptions} [options]
   */
  static async enter(browser, server, name, room, options) {
    const { page, complaints } = await openPage(browser, options);
    const person = new Person(name, page, complaints);
    await page.goto(`${server.url}/chat/${room}`);
    await page.getByTestId('name-input').fill(name);
    await page.getByTestId('name-submit').click();
    await person.online();
    await page.locator(`[data-testid=member][data-user="${name}"]`).waitFor({ state: 'attached' });
    return person;
  }

  /** Waits for the connection. */
  async online() {
    await this.page.locator('[data-testid=state][data-state=online]').waitFor();
  }

  /** Waits for the loss of the connection. */
  async offline() {
    await this.page.locator('[data-testid=state]:not([data-state=online])').waitFor();
  }

  /** @param {string} text */
  async say(text) {
    await this.page.getByTestId('composer').fill(text);
    await this.page.getByTestId('send').click();
  }

  /** Every message that the page shows, in its order. */
  async messages() {
    return this.page.getByTestId('message').evaluateAll((rows) =>
      rows.map((row) => {
        const { id, user, status } = /** @type {HTMLElement} */ (row).dataset;
        const spoken = row.querySelector('.text')?.textContent ?? '';
        return { id, user, status, text: spoken.trim().slice(`${user}:`.length).trim() };
      }),
    );
  }

  /**
   * Waits until the page shows exactly these texts in this order, all of them stored by the server.
   *
   * @param {string[]} wanted
   */
  async shows(wanted) {
    return eventually(`${this.name} sees all messages`, async () => {
      const messages = await this.messages();
      assert.deepEqual(messages.map(({ text }) => text), wanted);
      assert.deepEqual(messages.filter(({ status }) => status !== 'stored'), []);
      assert.equal(new Set(messages.map(({ id }) => id)).size, messages.length, 'ids are unique');
      return messages;
    });
  }

  /** The names in the list of those who are here. */
  async members() {
    return this.page.getByTestId('member').evaluateAll((rows) =>
      rows.map((row) => /** @type {HTMLElement} */ (row).dataset['user']),
    );
  }

  /**
   * Waits until exactly these are here, whoever is named first.
   *
   * @param {string[]} names
   */
  async sees(...names) {
    await eventually(`${this.name} sees who is here`, async () => {
      assert.deepEqual((await this.members()).sort(), names.sort());
    });
  }

  /**
   * Waits for a notice that somebody came or left.
   *
   * @param {'joined' | 'left'} kind
   * @param {string} name
   */
  async notices(kind, name) {
    await this.page.locator(`[data-testid=event][data-kind=${kind}][data-user="${name}"]`).last().waitFor();
  }

  /** Goes away, after a look at what the page complained about. */
  async leave() {
    await this.page.context().close();
    assert.deepEqual(this.complaints, [], `${this.name}'s page has no errors`);
  }
}
