/** What this client has said and not yet seen come back: bounded, in order, surviving a reload. */

import { TEXT_CHARS_MAX, parseRoom } from './protocol.ts';

/** Most messages that wait at once. */
export const OUTBOX_MESSAGES_MAX = 100;

/** `queued`: not acknowledged yet. `sent`: acknowledged, its echo is awaited. `failed`: refused, see `reason`. */
export type PendingStatus = 'queued' | 'sent' | 'failed';

/** A message on its way. */
export interface Pending {
  readonly kind: 'pending';
  readonly nonce: string;
  readonly room: string;
  readonly user: string;
  readonly text: string;
  readonly timestamp: number;
  readonly status: PendingStatus;
  readonly reason?: string;
}

/** Where the outbox is kept between page loads; `sessionStorage` fits. */
export type OutboxStorage = Pick<Storage, 'getItem' | 'setItem'>;

/** The queue of messages on their way, oldest first. */
export class Outbox {
  #items: readonly Pending[];

  /** Reads what `storage` holds under `key`; a damaged record is an empty outbox. */
  constructor(
    private readonly storage?: OutboxStorage,
    private readonly key = 'pointsman.outbox',
  ) {
    this.#items = restore(storage?.getItem(key) ?? null);
  }

  /** Everything on its way. The array is replaced, never changed. */
  get items(): readonly Pending[] {
    return this.#items;
  }

  /** Whether nothing more may be said until something is acknowledged. */
  get full(): boolean {
    return this.#items.length >= OUTBOX_MESSAGES_MAX;
  }

  /** What waits to be sent to `room`, in order. */
  queued(room: string): Pending[] {
    return this.#items.filter((item) => item.room === room && item.status === 'queued');
  }

  /** Adds a message at the end; `false` when the outbox is full. */
  add(message: Omit<Pending, 'kind' | 'status'>): boolean {
    if (this.full) return false;
    this.#replace([...this.#items, { ...message, kind: 'pending', status: 'queued' }]);
    return true;
  }

  /** Records what became of a message; unknown nonces are ignored. */
  mark(nonce: string, status: PendingStatus, reason?: string): void {
    this.#replace(
      this.#items.map((item) => {
        if (item.nonce !== nonce) return item;
        const { reason: _, ...rest } = item;
        return reason === undefined ? { ...rest, status } : { ...rest, status, reason };
      }),
    );
  }

  /** Puts a new name on what waits or failed, because the old one was refused. */
  rename(user: string): void {
    this.#replace(this.#items.map((item) => (item.status === 'sent' ? item : { ...item, user })));
  }

  /** Takes a message out: it came back, or its author gave it up. */
  remove(nonce: string): void {
    if (this.#items.some((item) => item.nonce === nonce)) {
      this.#replace(this.#items.filter((item) => item.nonce !== nonce));
    }
  }

  #replace(items: readonly Pending[]): void {
    this.#items = items;
    try {
      this.storage?.setItem(this.key, JSON.stringify(items));
    } catch {
      // A full or forbidden storage costs the survival of a reload, nothing else.
    }
  }
}

function restore(stored: string | null): Pending[] {
  if (stored === null) return [];
  try {
    const items: unknown = JSON.parse(stored);
    return Array.isArray(items) ? items.filter(isPending).slice(0, OUTBOX_MESSAGES_MAX) : [];
  } catch {
    return [];
  }
}

function isPending(value: unknown): value is Pending {
  const item = value as Partial<Pending> | null;
  return (
    typeof item === 'object' && item !== null && item.kind === 'pending' &&
    typeof item.nonce === 'string' && typeof item.user === 'string' &&
    typeof item.room === 'string' && parseRoom(item.room) === item.room &&
    typeof item.text === 'string' && item.text.length <= TEXT_CHARS_MAX &&
    typeof item.timestamp === 'number' &&
    (item.status === 'queued' || item.status === 'sent' || item.status === 'failed')
  );
}
