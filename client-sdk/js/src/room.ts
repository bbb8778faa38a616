/** What this client knows about one room; takes what arrives and says what to ask for. No I/O. */

import { Gap } from './gap.ts';
import { LOG_ENTRIES_MAX, RoomLog } from './log.ts';
import { type ChatMessage, type Entry, HISTORY_PAGE_MESSAGES, type Member } from './protocol.ts';

/** Most members that are listed; a fuller room shows this many. */
export const MEMBERS_MAX = 1000;
/** After this long an unanswered request for older history may be made again. */
export const OLDER_PATIENCE_MS = 10_000;

/** What a page of history led to. */
export interface HistoryResult {
  /** Ask for the page before this id. */
  readonly before?: string;
  /** Whether this page closed the gap, so that the room is in step with the server now. */
  readonly closed: boolean;
}

/** One joined room. */
export class Room {
  readonly log = new RoomLog();
  notes: readonly string[] = [];
  members: readonly Member[] = [];
  /** Whether the server may hold messages older than the log. */
  hasOlder = false;
  #gap: Gap | undefined;
  /** The newest message up to which the log is known to be whole. */
  #anchor: string | undefined;
  #older: { readonly before: string; readonly askedAt: number } | undefined;

  constructor(readonly name: string) {}

  /** Whether this connection has subscribed to the room. */
  get entered(): boolean {
    return this.#gap !== undefined;
  }

  /** Whether the log holds everything up to now. */
  get synced(): boolean {
    return this.#gap !== undefined && !this.#gap.open;
  }

  /** Whether older messages have been asked for and not arrived. */
  get loadingOlder(): boolean {
    return this.#older !== undefined;
  }

  /** A connection is up and subscribed: from here on the log is complete, before here there may be a gap. */
  connectionUp(): void {
    this.#gap = new Gap(this.#anchor, HISTORY_PAGE_MESSAGES);
    this.#older = undefined;
  }

  /**
   * The connection is gone: nothing that was asked for will be answered. The anchor is set here and not at the next
   * connection, whose first live messages may come before `connectionUp`; and only if no gap was left open.
   */
  connectionDown(): void {
    if (this.synced) this.#anchor = this.log.newestId;
    this.#gap = undefined;
    this.#older = undefined;
  }

  /** Takes the server's greeting. */
  welcome(notes: readonly string[], members: readonly Member[]): void {
    this.notes = notes;
    this.members = members.slice(0, MEMBERS_MAX);
  }

  /** Takes what was published in the room and returns whether it was new. */
  published(entry: Entry): boolean {
    if (entry.kind === 'left') {
      this.members = this.members.filter(({ clientId }) => clientId !== entry.clientId);
    } else {
      this.#see(entry);
    }
    const fresh = this.log.merge([entry]) > 0;
    if (this.log.trim()) this.hasOlder = true;
    return fresh;
  }

  /** Takes a page of history, oldest first, that had `count` messages on the wire. */
  history(page: readonly ChatMessage[], count: number): HistoryResult {
    this.log.merge(page);
    this.#takeOlder(page, count);
    const step = this.#gap?.step(page, count);
    switch (step?.kind) {
      case 'closed':
        if (step.atStart) this.hasOlder = false;
        return { closed: true };
      case 'cut':
        this.log.dropBefore(step.from);
        this.hasOlder = true;
        return { closed: true };
      case 'more':
        return { closed: false, before: step.before };
      case 'ignored':
      case undefined:
        return { closed: false };
    }
  }

  /** The id before which to ask for older messages, or `undefined` when there is nothing to ask. */
  askOlder(now: number): string | undefined {
    const before = this.log.oldestId;
    const waiting = this.#older !== undefined && now - this.#older.askedAt < OLDER_PATIENCE_MS;
    if (!this.synced || !this.hasOlder || waiting || before === undefined) return undefined;
    if (this.log.entries.length >= LOG_ENTRIES_MAX) return undefined;
    this.#older = { before, askedAt: now };
    return before;
  }

  #takeOlder(page: readonly ChatMessage[], count: number): void {
    if (this.#older === undefined) return;
    const newest = page.at(-1);
    if (newest !== undefined && newest.id >= this.#older.before) return;
    this.hasOlder = count >= HISTORY_PAGE_MESSAGES;
    this.#older = undefined;
  }

  /** Somebody who came or spoke; a message shows the name that its author goes by now. */
  #see({ kind, clientId, user }: Entry): void {
    const known = this.members.find((member) => member.clientId === clientId);
    if (known?.user === user) return;
    if (known !== undefined) {
      this.members = this.members.map((member) => (member === known ? { clientId, user } : member));
    } else if (kind === 'joined' && this.members.length < MEMBERS_MAX) {
      this.members = [...this.members, { clientId, user }];
    }
  }
}
