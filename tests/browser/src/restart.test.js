/** The server is killed while people talk, and started again: the pages go on as if nothing had been. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { eventually } from './eventually.js';
import { openTalk } from './stage.js';

const { server, ann, ben, close } = await openTalk();

after(close);

test('what is typed while the server is down arrives once', async () => {
  await ann.say('before');
  await ben.shows(['before']);
  await server.kill();
  await Promise.all([ann.offline(), ben.offline()]);
  for (const text of ['down 1', 'down 2', 'down 3']) await ann.say(text);
  const waiting = (await ann.messages()).filter(({ status }) => status === 'queued');
  assert.deepEqual(waiting.map(({ text }) => text), ['down 1', 'down 2', 'down 3']);

  await server.again();
  const talk = ['before', 'down 1', 'down 2', 'down 3'];
  const [annSees, benSees] = await Promise.all([ann.shows(talk), ben.shows(talk)]);
  assert.deepEqual(annSees, benSees);
  await Promise.all([ann.sees('Ann', 'Ben'), ben.sees('Ann', 'Ben')]);
});

test('what is typed while the server is down survives a reload of the page', async () => {
  const talk = (await ann.messages()).map(({ text }) => text);
  await server.kill();
  await ann.offline();
  await ann.say('typed, then reloaded');
  await server.again();
  await ann.page.reload();
  await Promise.all([ann.shows([...talk, 'typed, then reloaded']), ben.shows([...talk, 'typed, then reloaded'])]);
});

test('a kill in the middle of a lively talk loses nothing and doubles nothing', async () => {
  const earlier = (await ben.messages()).length;
  const lively = Array.from({ length: 30 }, (_, index) => `lively ${index}`);
  const said = (async () => {
    for (const text of lively) await ann.say(text);
  })();
  await eventually('some have arrived', async () => {
    assert.ok((await ben.messages()).length > earlier + 5);
  });
  await server.kill();
  await said;
  await server.again();

  const before = (await ben.messages()).slice(0, earlier).map(({ text }) => text);
  const [annSees, benSees] = await Promise.all([ann.shows([...before, ...lively]), ben.shows([...before, ...lively])]);
  assert.deepEqual(annSees, benSees);

  await Promise.all([ann.page.reload(), ben.page.reload()]);
  assert.deepEqual(await ann.shows([...before, ...lively]), annSees, 'the history is the same after a reload');
  assert.deepEqual(await ben.shows([...before, ...lively]), annSees);
});

test('the pages have complained about nothing', async () => {
  await ann.leave();
  await ben.leave();
});
