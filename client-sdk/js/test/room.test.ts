import { describe, expect, test } from 'vitest';

import { GAP_MESSAGES_MAX } from '../src/gap.ts';
import { LOG_ENTRIES_MAX } from '../src/log.ts';
import type { ChatMessage } from '../src/protocol.ts';
import { MEMBERS_MAX, OLDER_PATIENCE_MS, Room } from '../src/room.ts';
import { event, id, message, messages } from './fixtures.ts';

/** Answers like the server: the newest 50 before an id. */
function page(stored: ChatMessage[], before?: string): ChatMessage[] {
  return stored.filter((entry) => before === undefined || entry.id < before).slice(-50);
}

/** Lets the room ask until its gap is closed and returns how many pages that took. */
function sync(room: Room, stored: ChatMessage[]): number {
  room.connectionUp();
  let answer = page(stored);
  for (let pages = 1; ; pages += 1) {
    const { before, closed } = room.history(answer, answer.length);
    if (closed) return pages;
    expect(before).toBeDefined();
    answer = page(stored, before);
  }
}

describe('Room', () => {
  test('the first page of a fresh room is enough, and tells whether there is more', () => {
    const short = new Room('/a');
    expect(sync(short, messages(1, 49))).toBe(1);
    expect(short.hasOlder).toBe(false);
    const long = new Room('/a');
    expect(sync(long, messages(1, 60))).toBe(1);
    expect(long.hasOlder).toBe(true);
    expect(long.log.entries).toEqual(messages(11, 60));
  });

  test('an empty history closes the gap', () => {
    const room = new Room('/a');
    expect(sync(room, [])).toBe(1);
    expect(room.synced).toBe(true);
  });

  test.each([1, 49, 50, 51, 99, 100, 149, 150, 199])('a gap of %i messages leaves no hole', (gap) => {
    const room = new Room('/a');
    sync(room, messages(1, 30));
    room.connectionDown();
    sync(room, messages(1, 30 + gap));
    expect(room.log.entries).toEqual(messages(1, 30 + gap));
  });

  test('live messages that overtake the history do not hide the gap', () => {
    const room = new Room('/a');
    sync(room, messages(1, 30));
    room.connectionDown();
    room.connectionUp();
    room.published(message(131));
    const stored = messages(1, 131);
    let { before } = room.history(page(stored), 50);
    while (before !== undefined) {
      const answer = page(stored, before);
      ({ before } = room.history(answer, answer.length) as { before: string | undefined });
    }
    expect(room.synced).toBe(true);
    expect(room.log.entries).toEqual(stored);
  });

  test('live messages that come before the connection counts as up do not hide the gap', () => {
    const room = new Room('/a');
    sync(room, messages(1, 30));
    room.connectionDown();
    room.published(message(131));
    sync(room, messages(1, 131));
    expect(room.log.entries).toEqual(messages(1, 131));
  });

  test('a connection lost while its gap is open does not make the gap forgotten', () => {
    const room = new Room('/a');
    sync(room, messages(1, 30));
    room.connectionDown();
    room.connectionUp();
    expect(room.history(page(messages(1, 150)), 50).before).toBe(id(101));
    room.connectionDown();
    sync(room, messages(1, 160));
    expect(room.log.entries).toEqual(messages(1, 160));
  });

  test('a first connection lost before its history leaves no hole behind', () => {
    const room = new Room('/a');
    room.connectionUp();
    room.published(message(1));
    room.connectionDown();
    sync(room, messages(1, 100));
    expect(room.log.entries).toEqual(messages(51, 100));
    expect(room.hasOlder).toBe(true);
  });

  test('a gap that is too long starts the log anew, and the rest can be asked for', () => {
    const room = new Room('/a');
    sync(room, messages(1, 30));
    room.connectionDown();
    sync(room, messages(1, 1000));
    expect(room.log.entries).toEqual(messages(1001 - GAP_MESSAGES_MAX, 1000));
    expect(room.hasOlder).toBe(true);
    expect(room.askOlder(0)).toBe(id(1001 - GAP_MESSAGES_MAX));
  });

  test('the newest page sent twice is answered once', () => {
    const room = new Room('/a');
    sync(room, messages(1, 30));
    room.connectionDown();
    room.connectionUp();
    const stored = messages(1, 200);
    expect(room.history(page(stored), 50).before).toBe(id(151));
    expect(room.history(page(stored), 50)).toEqual({ closed: false });
  });

  test('a short page behind live messages closes the gap although the anchor expired', () => {
    const room = new Room('/a');
    sync(room, messages(1, 30));
    room.connectionDown();
    room.connectionUp();
    expect(room.history(messages(40, 45), 6)).toEqual({ closed: true });
  });

  test('older messages are asked for once, until they come or patience ends', () => {
    const room = new Room('/a');
    const stored = messages(1, 120);
    sync(room, stored);
    expect(room.askOlder(0)).toBe(id(71));
    expect(room.askOlder(1)).toBeUndefined();
    expect(room.askOlder(OLDER_PATIENCE_MS)).toBe(id(71));
    room.history(page(stored, id(71)), 50);
    expect([room.loadingOlder, room.hasOlder]).toEqual([false, true]);
    expect(room.askOlder(2)).toBe(id(21));
    room.history(page(stored, id(21)), 20);
    expect([room.loadingOlder, room.hasOlder]).toEqual([false, false]);
    expect(room.log.entries).toEqual(stored);
  });

  test('the log is bounded, and what was let go counts as older', () => {
    const room = new Room('/a');
    sync(room, []);
    for (const entry of messages(1, LOG_ENTRIES_MAX + 5)) room.published(entry);
    expect(room.log.entries).toHaveLength(LOG_ENTRIES_MAX);
    expect(room.hasOlder).toBe(true);
  });

  test('members come, go and change their names', () => {
    const room = new Room('/a');
    room.welcome([], [{ clientId: 'a', user: 'ana' }]);
    room.published(event(1, 'joined', 'b', 'ben'));
    room.published(event(2, 'joined', 'b', 'ben'));
    expect(room.members.map(({ user }) => user)).toEqual(['ana', 'ben']);
    room.published({ ...message(3, undefined, 'b'), user: 'benno' });
    room.published(event(4, 'left', 'a'));
    expect(room.members).toEqual([{ clientId: 'b', user: 'benno' }]);
  });

  test('members are bounded', () => {
    const room = new Room('/a');
    room.welcome([], Array.from({ length: MEMBERS_MAX + 9 }, (_, n) => ({ clientId: `c${n}`, user: `u${n}` })));
    room.published(event(1, 'joined', 'one-more'));
    expect(room.members).toHaveLength(MEMBERS_MAX);
  });
});
