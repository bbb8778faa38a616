/** Two browsers in one room over wss, and what an admin changes while they talk. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import mqtt from 'mqtt';

import { Person, openPage } from './browser.js';
import { eventually } from './eventually.js';
import { openTalk } from './stage.js';

const { server, browsers, ann, ben, close } = await openTalk();

after(close);

test('the page talks over wss on its own origin', async () => {
  const sockets = await ann.page.evaluate(() => location.protocol);
  assert.equal(sockets, 'https:');
  const { page } = await openPage(browsers[0]);
  const opened = page.waitForEvent('websocket');
  await page.goto(`${server.url}/chat/lobby`);
  await page.getByTestId('name-input').fill('Wanda');
  await page.keyboard.press('Enter');
  assert.equal((await opened).url(), server.socketUrl);
  await ben.sees('Ann', 'Ben', 'Wanda');
  await page.context().close();
  await ben.sees('Ann', 'Ben');
});

test('what one says, the other reads', async () => {
  await ann.say('hello from Ann');
  await ben.shows(['hello from Ann']);
  await ben.say('and <b>hello</b> from Ben, 日本語 🚂');
  const talk = ['hello from Ann', 'and <b>hello</b> from Ben, 日本語 🚂'];
  const [annSees, benSees] = [await ann.shows(talk), await ben.shows(talk)];
  assert.deepEqual(annSees, benSees, 'both have the same ids');
  assert.deepEqual(annSees.map(({ user }) => user), ['Ann', 'Ben']);
});

test('comings and goings are shown', async () => {
  await ann.notices('joined', 'Ben');
  const cleo = await Person.enter(browsers[1], server, 'Cleo', 'lobby');
  await ann.notices('joined', 'Cleo');
  await ann.sees('Ann', 'Ben', 'Cleo');
  await cleo.sees('Ann', 'Ben', 'Cleo');
  await cleo.leave();
  await ann.notices('left', 'Cleo');
  await ann.sees('Ann', 'Ben');
});

test('the history is there after a reload, once', async () => {
  const talk = (await ann.messages()).map(({ text }) => text);
  await ann.page.reload();
  await ann.online();
  await ann.shows(talk);
  await ann.sees('Ann', 'Ben');
});

test('rooms are apart', async () => {
  await ann.page.getByTestId('room-input').fill('yard/north');
  await ann.page.getByTestId('room-submit').click();
  await ann.page.waitForURL('**/chat/yard/north');
  await ann.sees('Ann');
  await ann.say('only in the yard');
  await ann.shows(['only in the yard']);
  await ben.say('still in the lobby');
  await ann.page.locator('[data-testid=room][data-room="/lobby"] .unread').waitFor();
  await ann.page.goBack();
  await ann.page.waitForURL('**/chat/lobby');
  const talk = (await ben.messages()).map(({ text }) => text);
  assert.ok(!talk.includes('only in the yard'));
  await ann.shows(talk);
});

test('a taken name is refused, and another one is asked for', async () => {
  const { page, complaints } = await openPage(browsers[1]);
  await page.goto(`${server.url}/chat/lobby`);
  await page.getByTestId('name-input').fill('ANN');
  await page.getByTestId('name-submit').click();
  await page.getByText('“ANN” is taken. Choose another name.').waitFor();
  await page.getByTestId('name-input').fill('Dora');
  await page.getByTestId('name-submit').click();
  const dora = new Person('Dora', page, complaints);
  await dora.sees('Ann', 'Ben', 'Dora');
  await dora.say('another name then');
  await eventually('Ann reads Dora', async () => {
    assert.equal((await ann.messages()).at(-1)?.user, 'Dora');
  });
  await dora.leave();
});

test('malformed input is answered to its sender alone, and shown to nobody', async () => {
  const client = await mqtt.connectAsync(server.socketUrl, { clientId: 'malformed-1', ca: server.authority });
  /** @type {{ cmd: string, code: string, message: string }[]} */
  const answers = [];
  client.on('message', (_topic, payload) => answers.push(JSON.parse(payload.toString())));
  await client.subscribeAsync('chat/in/malformed-1', { qos: 1 });
  const shown = await ann.messages();
  const wrong = ['not json', '[]', '{}', '{"room":"/a/+","text":"x"}', '{"room":"/lobby","text":7}', '{"room":"/lobby","text":" "}'];
  for (const payload of wrong) await client.publishAsync('chat/out', payload, { qos: 1 });
  await eventually('every one is answered', () => assert.equal(answers.length, wrong.length));
  assert.deepEqual(
    answers.map(({ code }) => code),
    ['not_json', 'not_an_object', 'unknown_command', 'bad_room', 'bad_text', 'bad_text'],
  );
  assert.ok(answers.every(({ cmd, message }) => cmd === 'error' && message.length > 10));
  await client.endAsync();
  assert.deepEqual(await ann.messages(), shown);
});

test('an edited rule takes effect without a restart, a broken one does not', async () => {
  await server.editRule('chat.rhai', (text) => text.replace('Welcome to chat room', 'All change at'));
  await eventually('the new welcome is shown', async () => {
    await ben.page.reload();
    await ben.page.getByText('All change at /lobby').waitFor({ timeout: 1_000 });
  });

  await server.editRule('chat.rhai', (text) => text.replace('fn say(msg, said) {', 'fn say(msg, said) { let = ;'));
  await eventually('the fault is reported', async () => {
    const { brokenRules } = await server.status();
    assert.equal(brokenRules.length, 1);
  });
  assert.match(server.log, /chat\.rhai/);
  await ben.say('the old version still works');
  await eventually('Ann reads it', async () => {
    assert.equal((await ann.messages()).at(-1)?.text, 'the old version still works');
  });

  const refusal = 'if text == "wet paint" { refuse("paint", "no painting here"); }';
  await server.editRule('chat.rhai', (text) =>
    text.replace('{ let = ;', '{').replace('let stamp = #{', `${refusal}\n    let stamp = #{`),
  );
  await eventually('the fault is gone', async () => {
    const { brokenRules } = await server.status();
    assert.deepEqual(brokenRules, []);
  });
});

test('what the rule refuses is shown with its reason, and can be deleted', async () => {
  const stored = (await ben.messages()).map(({ text }) => text);
  await ben.say('wet paint');
  await ben.page.getByTestId('error-toast').getByText('no painting here').waitFor();
  const failed = ben.page.locator('[data-testid=message][data-status=failed]');
  await failed.getByText('Not sent: no painting here').waitFor();
  await failed.getByRole('button', { name: 'Delete' }).click();
  await ben.shows(stored);
});

test('the pages have complained about nothing', async () => {
  await ann.leave();
  await ben.leave();
});
