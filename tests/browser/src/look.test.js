/** The pages on a phone, by keyboard alone, and in both colour schemes; leaves pictures of them to look at. */

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Person, openPage } from './browser.js';
import { eventually } from './eventually.js';
import { openStage } from './stage.js';

/** @import { Browser, Page } from 'playwright-core' */
/** @import { Server } from './server.js' */

const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
const DESK = { viewport: { width: 1280, height: 800 } };
const PICTURES = process.env['POINTSMAN_SCREENSHOTS'] ?? join(tmpdir(), 'pointsman-screenshots');

/** @type {Awaited<ReturnType<typeof openStage>>} */
let stage;
/** @type {Server} */
let server;
/** @type {Browser} */
let browser;

before(async () => {
  mkdirSync(PICTURES, { recursive: true });
  stage = await openStage(1);
  server = stage.server;
  [browser] = /** @type {[Browser]} */ (stage.browsers);
});

after(() => stage?.close());

test('on a phone: drawers, the composer in reach, no sideways scroll', async () => {
  const person = await Person.enter(browser, server, 'Petra', 'lobby', PHONE);
  const { page } = person;
  await person.say(`https://example.org/${'a-very-long-path-without-any-space/'.repeat(8)}`);
  await person.say('W'.repeat(400));
  await eventually('both are stored', async () => {
    const stored = (await person.messages()).filter(({ status }) => status === 'stored');
    assert.equal(stored.length, 2);
  });
  await fits(page);
  await within(page, page.getByTestId('composer'));
  await within(page, page.getByTestId('send'));
  await picture(page, 'chat-phone');

  const rooms = page.getByTestId('room-input');
  assert.ok(!(await rooms.isVisible()), 'the rooms are behind their button');
  await page.getByRole('button', { name: 'Rooms' }).tap();
  await within(page, rooms);
  await picture(page, 'chat-phone-rooms');
  await rooms.fill('yard');
  await page.getByTestId('room-submit').tap();
  await page.waitForURL('**/chat/yard');
  await rooms.waitFor({ state: 'hidden' });

  await page.getByRole('button', { name: /^Who is here/ }).tap();
  await within(page, page.getByTestId('member').first());
  await fits(page);
  await picture(page, 'chat-phone-members');
  await page.keyboard.press('Escape');
  await page.getByTestId('member').first().waitFor({ state: 'hidden' });
  await person.leave();
});

test('the start page fits on a phone', async () => {
  const { page } = await openPage(browser, PHONE);
  await page.goto(server.url);
  await page.getByTestId('listeners').waitFor();
  await fits(page);
  await picture(page, 'start-phone', true);
  await page.context().close();
});

test('by keyboard alone: name, talk, another room, back', async () => {
  const { page, complaints } = await openPage(browser, DESK);
  const person = new Person('Kay', page, complaints);
  await page.goto(`${server.url}/chat/keys`);
  await page.getByTestId('name-input').waitFor();
  // The dialog has the focus on its field from the beginning.
  await page.keyboard.type('Kay');
  await page.keyboard.press('Enter');
  await person.online();

  await tabTo(page, 'composer');
  await page.keyboard.type('first line');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('second line');
  await page.keyboard.press('Enter');
  await person.shows(['first line\nsecond line']);
  await page.keyboard.type('the focus has stayed');
  await page.keyboard.press('Enter');
  await person.shows(['first line\nsecond line', 'the focus has stayed']);

  await tabTo(page, 'room-input');
  await page.keyboard.type('keys/two');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/chat/keys/two');
  await tabTo(page, 'composer');
  await page.keyboard.type('in the second room');
  await page.keyboard.press('Enter');
  await person.shows(['in the second room']);
  await person.leave();
});

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  test(`pictures in the ${colorScheme} scheme`, async () => {
    const options = { ...DESK, colorScheme };
    const room = `tour-${colorScheme}`;
    const start = await openPage(browser, options);
    await start.page.goto(server.url);
    await start.page.getByTestId('listeners').waitFor();
    await picture(start.page, `start-${colorScheme}`, true);

    const greta = await Person.enter(browser, server, `Greta ${colorScheme}`, room, options);
    const hugo = await Person.enter(browser, server, `Hugo ${colorScheme}`, room, options);
    await greta.say('Is the 17:40 on time today?');
    await hugo.notices('joined', hugo.name);
    await eventually('Hugo reads it', async () => assert.equal((await hugo.messages()).length, 1));
    await hugo.say('Four minutes late. Track 3 instead of 5, see https://example.org/board');
    await hugo.say('They changed the points at noon.');
    await eventually('Greta reads it', async () => assert.equal((await greta.messages()).length, 3));
    await greta.say('Thank you! I will tell the others, they are still at the other end of the platform with the luggage.');
    await eventually('all is stored', async () => {
      assert.deepEqual((await greta.messages()).map(({ status }) => status), Array(4).fill('stored'));
    });
    await picture(greta.page, `chat-${colorScheme}`);
    await hugo.leave();
    await greta.notices('left', hugo.name);
    await greta.leave();
  });
}

/**
 * Nothing is wider than the window.
 *
 * @param {Page} page
 */
async function fits(page) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= window, `the page is ${content} px wide in a window of ${window} px`);
}

/**
 * The element is wholly inside the window.
 *
 * @param {Page} page
 * @param {import('playwright-core').Locator} element
 */
async function within(page, element) {
  const { width, height } = page.viewportSize() ?? { width: 0, height: 0 };
  await element.waitFor();
  await eventually('the element is inside the window', async () => {
    const box = await element.boundingBox();
    assert.ok(box, 'the element is shown');
    assert.ok(box.x >= 0 && box.y >= 0 && box.x + box.width <= width && box.y + box.height <= height, JSON.stringify(box));
  });
}

/**
 * Presses Tab until the element has the focus.
 *
 * @param {Page} page
 * @param {string} testId
 */
async function tabTo(page, testId) {
  const STOPS_MAX = 40;
  for (let stop = 0; stop < STOPS_MAX; stop += 1) {
    const focused = await page.evaluate(() => document.activeElement?.getAttribute('data-testid'));
    if (focused === testId) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`${testId} is not reached in ${STOPS_MAX} stops`);
}

/**
 * @param {Page} page
 * @param {string} name
 * @param {boolean} [fullPage]
 */
async function picture(page, name, fullPage = false) {
  await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage, animations: 'disabled' });
}
