/** The start page: what listens where, and the certificate authority to trust. */

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';

import { openPage } from './browser.js';
import { openStage } from './stage.js';

/** @import { Browser } from 'playwright-core' */
/** @import { Server } from './server.js' */

/** @type {Awaited<ReturnType<typeof openStage>>} */
let stage;
/** @type {Server} */
let server;
/** @type {Browser} */
let browser;

before(async () => {
  stage = await openStage(1);
  server = stage.server;
  [browser] = /** @type {[Browser]} */ (stage.browsers);
});

after(() => stage?.close());

test('every listener is named with its address', async () => {
  const { page, complaints } = await openPage(browser);
  await page.goto(server.url);
  const list = page.getByTestId('listeners');
  await list.waitFor();
  const addresses = await list.locator('code').allTextContents();
  const { http, https, mqtt, mqtts } = server.ports;
  const wanted = [
    `http://localhost:${http}`, `https://localhost:${https}`, `mqtt://localhost:${mqtt}`, `mqtts://localhost:${mqtts}`,
    `ws://localhost:${http}/mqtt`, `wss://localhost:${https}/mqtt`,
  ];
  assert.deepEqual(addresses.sort(), wanted.sort());
  const commands = await page.locator('#connect pre').first().textContent();
  assert.match(commands ?? '', new RegExp(`-p ${mqtt} `), 'the commands are for the ports that there are');
  assert.match(commands ?? '', new RegExp(`-p ${mqtts} `));
  assert.deepEqual(complaints, []);
});

test('the authority that the page offers signs what the server shows', async () => {
  const { page } = await openPage(browser);
  await page.goto(server.url);
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Download ca.crt' }).click(),
  ]);
  assert.equal(download.suggestedFilename(), 'pointsman-ca.crt');
  const ca = await readFile(await download.path());
  assert.ok(new X509Certificate(ca).ca, 'it is an authority');
  for (const port of [server.ports.https, server.ports.mqtts]) {
    for (const [host, servername] of /** @type {const} */ ([['localhost', 'localhost'], ['127.0.0.1', undefined]])) {
      await new Promise((resolve, reject) => {
        const socket = connect({ host, port, ca, ...(servername && { servername }) }, () => {
          socket.end();
          resolve(socket.authorized);
        });
        socket.once('error', reject);
      });
    }
  }
});

test('nothing is loaded from elsewhere, and the way to the chat is one click', async () => {
  const { page, complaints } = await openPage(browser);
  /** @type {string[]} */
  const elsewhere = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(server.url)) elsewhere.push(request.url());
  });
  await page.goto(server.url);
  await page.getByRole('link', { name: 'Open the chat' }).click();
  await page.getByTestId('name-input').waitFor();
  assert.match(page.url(), /\/chat\/lobby$/);
  assert.deepEqual(elsewhere, []);
  assert.deepEqual(complaints, []);
});
