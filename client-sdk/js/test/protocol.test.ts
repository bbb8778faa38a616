import { describe, expect, test } from 'vitest';

import { parseCommand, parsePublished, parseRoom, parseUser } from '../src/protocol.ts';
import { id } from './fixtures.ts';

describe('parseRoom', () => {
  test.each([
    ['lobby', '/lobby'],
    ['/lobby', '/lobby'],
    [' /team/plans/ ', '/team/plans'],
    ['a/b/c', '/a/b/c'],
    ['x'.repeat(64), `/${'x'.repeat(64)}`],
  ])('%s is %s', (input, room) => expect(parseRoom(input)).toBe(room));

  test.each(['', '/', '.', 'a/..', 'a/b/c/d', 'a//b', 'a b', 'é', 'a+', '#', 'x'.repeat(65), '<b>'])('%s is none', (input) =>
    expect(parseRoom(input)).toBeUndefined(),
  );
});

test('parseUser trims and bounds in characters, not code units', () => {
  expect(parseUser('  Ana   Maria ')).toBe('Ana Maria');
  expect(parseUser(' \t ')).toBeUndefined();
  expect(parseUser('😀'.repeat(40))).toBe('😀'.repeat(40));
  expect(parseUser('x'.repeat(41))).toBeUndefined();
});

describe('what arrives', () => {
  test('a published message, its server members winning over the client’s', () => {
    const payload = { room: '/a', message: { user: 'ana', text: 'hi', nonce: 'n', id: 'forged', clientId: 'forged' }, clientId: 'c', timestamp: 7, id: id(1) };
    expect(parsePublished(JSON.stringify(payload))).toEqual({
      kind: 'message', id: id(1), user: 'ana', text: 'hi', nonce: 'n', clientId: 'c', timestamp: 7,
    });
  });

  test('a published event', () => {
    const payload = { room: '/a', event: 'left', clientId: 'c', user: 'ana', timestamp: 7, id: id(1) };
    expect(parsePublished(JSON.stringify(payload))?.kind).toBe('left');
  });

  test('a welcome, a history and an error, malformed parts left out', () => {
    const welcome = { cmd: 'welcome', room: '/a', messages: [{ text: 'hello' }, 4], members: [{ clientId: 'c', user: 'ana' }, {}] };
    expect(parseCommand(JSON.stringify(welcome))).toEqual({
      cmd: 'welcome', room: '/a', notes: ['hello'], members: [{ clientId: 'c', user: 'ana' }],
    });
    const stored = { id: id(1), user: 'ana', text: 'hi', clientId: 'c', timestamp: 1 };
    const history = parseCommand(JSON.stringify({ cmd: 'history', room: '/a', messages: [stored, { id: 5 }, null] }));
    expect(history).toEqual({ cmd: 'history', room: '/a', count: 3, messages: [{ kind: 'message', ...stored }] });
    expect(parseCommand('{"cmd":"error","code":"bad_room"}')).toMatchObject({ error: { code: 'bad_room', received: '""' } });
  });

  test.each(['', '{', '[]', 'null', '7', '{}', '{"cmd":"run"}', '{"cmd":"history"}', '{"event":"joined"}', '{"message":{}}', '{"message":{"text":"x"},"id":3}'])(
    '%s is nothing',
    (payload) => {
      expect(parseCommand(payload)).toBeUndefined();
      expect(parsePublished(payload)).toBeUndefined();
    },
  );
});
