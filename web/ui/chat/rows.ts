/** Turns a room's log into the rows that are shown: days, comings and goings, and messages in groups. */

import type { ChatEvent, ChatMessage, Entry, Pending } from '@pointsman/client';

import { dayKey } from '../lib/time.ts';

/** Messages of one author this close together share one heading. */
const GROUP_MS = 5 * 60_000;

/** One row of the message list. */
export type Row =
  | { readonly kind: 'day'; readonly key: string; readonly timestamp: number }
  | { readonly kind: 'event'; readonly key: string; readonly event: ChatEvent }
  | {
      readonly kind: 'message';
      readonly key: string;
      readonly message: ChatMessage | Pending;
      readonly own: boolean;
      /** Whether the author's name and picture are shown. */
      readonly heads: boolean;
    };

/** The rows, oldest first; what is on its way comes last. A message keeps its key when its echo replaces it. */
export function toRows(entries: readonly Entry[], pending: readonly Pending[], clientId: string): Row[] {
  const rows: Row[] = [];
  let day = '';
  let previous: { author: string; timestamp: number } | undefined;
  for (const item of [...entries, ...pending]) {
    if (dayKey(item.timestamp) !== day) {
      day = dayKey(item.timestamp);
      previous = undefined;
      rows.push({ kind: 'day', key: `day ${day} ${itemKey(item, clientId)}`, timestamp: item.timestamp });
    }
    if (item.kind !== 'message' && item.kind !== 'pending') {
      previous = undefined;
      rows.push({ kind: 'event', key: item.id, event: item });
      continue;
    }
    const own = item.kind === 'pending' || item.clientId === clientId;
    const author = `${own ? clientId : item.clientId} ${item.user}`;
    const heads = previous?.author !== author || item.timestamp - previous.timestamp > GROUP_MS;
    previous = { author, timestamp: item.timestamp };
    rows.push({ kind: 'message', key: itemKey(item, clientId), message: item, own, heads });
  }
  return rows;
}

function itemKey(item: Entry | Pending, clientId: string): string {
  if (item.kind === 'pending') return `${clientId} ${item.nonce}`;
  return item.kind === 'message' && item.nonce !== undefined ? `${item.clientId} ${item.nonce}` : item.id;
}
