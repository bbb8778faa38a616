import type { ChatMessage, Pending } from '@pointsman/client';
import { describe, expect, test } from 'vitest';

import { toRows } from '../chat/rows.ts';

const NOON = new Date(2026, 4, 10, 12).getTime();
const MINUTE = 60_000;

function message(n: number, minutes: number, clientId = 'them', nonce?: string): ChatMessage {
  const plain = { kind: 'message' as const, id: `id${n}`, user: clientId, text: 't', clientId, timestamp: NOON + minutes * MINUTE };
  return nonce === undefined ? plain : { ...plain, nonce };
}

describe('toRows', () => {
  test('a day comes before its first entry, once', () => {
    const rows = toRows([message(1, 0), message(2, 1), message(3, 24 * 60)], [], 'me');
    expect(rows.map(({ kind }) => kind)).toEqual(['day', 'message', 'message', 'day', 'message']);
  });

  test('one author’s messages share a heading until time, another author or an event comes between', () => {
    const rows = toRows(
      [
        message(1, 0),
        message(2, 1),
        message(3, 10),
        message(4, 11, 'else'),
        message(5, 12),
        { kind: 'joined', id: 'id6', user: 'x', clientId: 'x', timestamp: NOON + 13 * MINUTE },
        message(7, 14),
      ],
      [],
      'me',
    );
    const heads = rows.flatMap((row) => (row.kind === 'message' ? [row.heads] : []));
    expect(heads).toEqual([true, false, true, true, true, true]);
  });

  test('what is on its way comes last, is one’s own, and keeps its key when its echo comes', () => {
    const pending: Pending = { kind: 'pending', nonce: 'n', room: '/a', user: 'me', text: 't', timestamp: NOON, status: 'queued' };
    const before = toRows([message(1, 5)], [pending], 'me').at(-1);
    const after = toRows([message(1, 5), message(2, 6, 'me', 'n')], [], 'me').at(-1);
    expect(before).toMatchObject({ own: true });
    expect(after?.key).toBe(before?.key);
  });

  test('keys are unique', () => {
    const rows = toRows([message(1, 0, 'a', 'n'), message(2, 0, 'b', 'n'), message(3, 0)], [], 'me');
    expect(new Set(rows.map(({ key }) => key)).size).toBe(rows.length);
  });
});
