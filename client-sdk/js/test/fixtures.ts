/** Messages with ids in the order of their numbers. */

import type { ChatEvent, ChatMessage } from '../src/protocol.ts';

/** A 26-character id that sorts by `n`. */
export function id(n: number): string {
  return `01J${String(n).padStart(23, '0')}`;
}

/** The message number `n`, with a nonce when one is given. */
export function message(n: number, nonce?: string, clientId = 'other'): ChatMessage {
  const plain = { kind: 'message' as const, id: id(n), user: 'ana', text: `text ${n}`, clientId, timestamp: n * 1000 };
  return nonce === undefined ? plain : { ...plain, nonce };
}

/** The messages from `from` up to and including `to`. */
export function messages(from: number, to: number): ChatMessage[] {
  return Array.from({ length: to - from + 1 }, (_, index) => message(from + index));
}

/** Somebody coming or going. */
export function event(n: number, kind: 'joined' | 'left', clientId = 'other', user = 'ana'): ChatEvent {
  return { kind, id: id(n), user, clientId, timestamp: n * 1000 };
}
