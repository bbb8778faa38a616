import { describe, expect, test } from 'vitest';

import { RoomLog } from '../src/log.ts';
import { event, id, message, messages } from './fixtures.ts';

function ids(log: RoomLog): string[] {
  return log.entries.map((entry) => entry.id);
}

describe('RoomLog', () => {
  test('orders by id whatever order entries arrive in', () => {
    const log = new RoomLog();
    log.merge([message(5)]);
    log.merge([message(2), message(9), message(1)]);
    log.merge([message(7)]);
    expect(ids(log)).toEqual([1, 2, 5, 7, 9].map(id));
  });

  test('keeps each id once, within a batch and between batches', () => {
    const log = new RoomLog();
    expect(log.merge([message(1), message(1), message(2)])).toBe(2);
    expect(log.merge([message(2), message(3)])).toBe(1);
    expect(ids(log)).toEqual([1, 2, 3].map(id));
  });

  test('every split and order of a history gives the same log', () => {
    const all = messages(1, 40);
    for (let seed = 1; seed <= 50; seed += 1) {
      const log = new RoomLog();
      const shuffled = [...all, ...all].sort((a, b) => hash(a.id, seed) - hash(b.id, seed));
      for (let at = 0; at < shuffled.length; at += 1 + (seed % 7)) log.merge(shuffled.slice(at, at + 1 + (seed % 7)));
      expect(log.entries).toEqual(all);
    }
  });

  test('a retried message is shown once, at its first place, whichever copy comes first', () => {
    const [first, retry] = [message(3, 'n'), message(8, 'n')];
    for (const order of [[first, retry], [retry, first]]) {
      const log = new RoomLog();
      log.merge([message(5)]);
      for (const copy of order) log.merge([copy]);
      expect(ids(log)).toEqual([3, 5].map(id));
      const together = new RoomLog();
      together.merge(order);
      expect(ids(together)).toEqual([id(3)]);
    }
  });

  test('one nonce of two clients is two messages', () => {
    const log = new RoomLog();
    log.merge([message(1, 'n', 'a'), message(2, 'n', 'b')]);
    expect(log.entries).toHaveLength(2);
    expect(log.hasNonce('a', 'n')).toBe(true);
    expect(log.hasNonce('c', 'n')).toBe(false);
  });

  test('oldest and newest do not count comings and goings', () => {
    const log = new RoomLog();
    log.merge([event(1, 'joined'), message(2), message(3), event(4, 'left')]);
    expect([log.oldestId, log.newestId]).toEqual([id(2), id(3)]);
  });

  test('what was trimmed or dropped can be merged again', () => {
    const log = new RoomLog();
    log.merge(messages(1, 10));
    expect(log.trim(4)).toBe(true);
    expect(log.trim(4)).toBe(false);
    expect(ids(log)).toEqual([7, 8, 9, 10].map(id));
    log.dropBefore(id(9));
    log.merge(messages(1, 10));
    expect(ids(log)).toEqual(messages(1, 10).map((entry) => entry.id));
  });

  test('the array is replaced, never changed', () => {
    const log = new RoomLog();
    log.merge([message(1)]);
    const before = log.entries;
    log.merge([message(2)]);
    expect(before).toHaveLength(1);
  });
});

function hash(text: string, seed: number): number {
  let value = seed * 7919;
  for (const character of text) value = (value * 31 + character.charCodeAt(0)) % 104_729;
  return value;
}
