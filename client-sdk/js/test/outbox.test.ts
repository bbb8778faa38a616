import { describe, expect, test } from 'vitest';

import { OUTBOX_MESSAGES_MAX, Outbox } from '../src/outbox.ts';

function said(nonce: string, room = '/a') {
  return { nonce, room, user: 'ana', text: `says ${nonce}`, timestamp: 1 };
}

function memoryStorage() {
  const items = new Map<string, string>();
  return {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
  };
}

describe('Outbox', () => {
  test('keeps order and rooms apart', () => {
    const outbox = new Outbox();
    for (const nonce of ['1', '2', '3']) outbox.add(said(nonce, nonce === '2' ? '/b' : '/a'));
    expect(outbox.queued('/a').map(({ nonce }) => nonce)).toEqual(['1', '3']);
  });

  test('takes no more than its limit, and more again after one is removed', () => {
    const outbox = new Outbox();
    for (let n = 0; n < OUTBOX_MESSAGES_MAX; n += 1) expect(outbox.add(said(`${n}`))).toBe(true);
    expect(outbox.add(said('one more'))).toBe(false);
    outbox.remove('0');
    expect(outbox.add(said('one more'))).toBe(true);
  });

  test('only queued messages are sent again', () => {
    const outbox = new Outbox();
    for (const nonce of ['1', '2', '3']) outbox.add(said(nonce));
    outbox.mark('1', 'sent');
    outbox.mark('2', 'failed', 'refused');
    expect(outbox.queued('/a').map(({ nonce }) => nonce)).toEqual(['3']);
    expect(outbox.items[1]?.reason).toBe('refused');
    outbox.mark('2', 'queued');
    expect(outbox.items[1]?.reason).toBeUndefined();
  });

  test('a new name is put on what has not been sent', () => {
    const outbox = new Outbox();
    outbox.add(said('1'));
    outbox.add(said('2'));
    outbox.mark('1', 'sent');
    outbox.rename('anna');
    expect(outbox.items.map(({ user }) => user)).toEqual(['ana', 'anna']);
  });

  test('survives a reload', () => {
    const storage = memoryStorage();
    const before = new Outbox(storage, 'k');
    before.add(said('1'));
    before.mark('1', 'sent');
    before.add(said('2'));
    expect(new Outbox(storage, 'k').items).toEqual(before.items);
    expect(new Outbox(storage, 'other').items).toEqual([]);
  });

  test.each(['{', 'null', '7', '[{"nonce":1}]', '[null]', '[{"kind":"pending","nonce":"1","room":"../x"}]'])(
    'a damaged record %s is an empty outbox',
    (record) => {
      expect(new Outbox({ getItem: () => record, setItem: () => {} }).items).toEqual([]);
    },
  );

  test('a storage that throws costs nothing else', () => {
    const outbox = new Outbox({
      getItem: () => null,
      setItem: () => {
        throw new Error('full');
      },
    });
    expect(outbox.add(said('1'))).toBe(true);
  });
});
