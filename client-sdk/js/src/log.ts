/** A room's log: every entry once, in the order of ids, with no hole that nobody knows about. */

import type { Entry } from './protocol.ts';

/** Most entries one room keeps in memory; the oldest go first and can be asked for again. */
export const LOG_ENTRIES_MAX = 2000;

/** Entries in the order of their ids. Ids and (client, nonce) pairs occur once. */
export class RoomLog {
  #entries: Entry[] = [];
  #ids = new Set<string>();
  #nonces = new Map<string, string>();

  /** The entries, oldest first. The array is replaced, never changed. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** The id of the newest message. Comings and goings do not count: history does not hold them. */
  get newestId(): string | undefined {
    return this.#entries.findLast((entry) => entry.kind === 'message')?.id;
  }

  /** The id of the oldest message. */
  get oldestId(): string | undefined {
    return this.#entries.find((entry) => entry.kind === 'message')?.id;
  }

  /** Whether this client's message with that nonce has arrived. */
  hasNonce(clientId: string, nonce: string): boolean {
    return this.#nonces.has(nonceKey(clientId, nonce));
  }

  /** Merges entries in any order and returns how many were new. A retried message keeps its first place. */
  merge(incoming: readonly Entry[]): number {
    const fresh: Entry[] = [];
    for (const entry of incoming) {
      if (this.#ids.has(entry.id)) continue;
      this.#ids.add(entry.id);
      if (entry.kind !== 'message' || entry.nonce === undefined) {
        fresh.push(entry);
        continue;
      }
      const key = nonceKey(entry.clientId, entry.nonce);
      const known = this.#nonces.get(key);
      if (known !== undefined && known < entry.id) continue;
      if (known !== undefined) {
        this.#entries = this.#entries.filter(({ id }) => id !== known);
        const at = fresh.findIndex(({ id }) => id === known);
        if (at >= 0) fresh.splice(at, 1);
      }
      this.#nonces.set(key, entry.id);
      fresh.push(entry);
    }
    if (fresh.length > 0) this.#entries = mergeSorted(this.#entries, fresh.sort(byId));
    return fresh.length;
  }

  /** Forgets everything before `id`, because what lies between is not known. */
  dropBefore(id: string): void {
    this.#keep(this.#entries.filter((entry) => entry.id >= id));
  }

  /** Forgets the oldest entries beyond `max` and says whether there were any. */
  trim(max = LOG_ENTRIES_MAX): boolean {
    if (this.#entries.length <= max) return false;
    this.#keep(this.#entries.slice(-max));
    return true;
  }

  #keep(entries: Entry[]): void {
    this.#entries = entries;
    this.#ids = new Set(entries.map(({ id }) => id));
    this.#nonces.clear();
    for (const entry of entries) {
      if (entry.kind === 'message' && entry.nonce !== undefined) {
        this.#nonces.set(nonceKey(entry.clientId, entry.nonce), entry.id);
      }
    }
  }
}

function nonceKey(clientId: string, nonce: string): string {
  return `${clientId}\n${nonce}`;
}

function byId(a: Entry, b: Entry): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/** Live entries come in order, so the common case is one append. */
function mergeSorted(old: readonly Entry[], fresh: readonly Entry[]): Entry[] {
  const [last, first] = [old.at(-1), fresh[0]];
  if (last === undefined || first === undefined || last.id < first.id) return [...old, ...fresh];
  return [...old, ...fresh].sort(byId);
}
