/** The chat: rooms that stay complete over lost connections, and messages that are said exactly once. */

import { type ConnectionState, Link, Refused } from './link.ts';
import { Outbox, type OutboxStorage, type Pending } from './outbox.ts';
import {
  type ChatError, type Command, type Entry, HISTORY_PAGE_MESSAGES, type Member, type Outgoing, TEXT_CHARS_MAX,
  TOPIC_OUT, inboxTopic, parseCommand, parsePublished, roomTopic,
} from './protocol.ts';
import { randomId } from './identity.ts';
import { Room } from './room.ts';
import type { Timers } from './wake.ts';

/** How often a client says that it is still in its rooms. */
export const HEARTBEAT_MS = 30_000;
/** Most rooms that one client is in at once. */
export const ROOMS_MAX = 20;

/** What a chat needs. Everything but the first three has a default. */
export interface ChatOptions {
  readonly url: string;
  readonly clientId: string;
  readonly user: string;
  readonly host?: string;
  readonly protocolVersion?: 4 | 5;
  readonly username?: string;
  readonly password?: string;
  /** Keeps what was said and not acknowledged over a reload. */
  readonly storage?: OutboxStorage;
  readonly timers?: Timers;
  readonly now?: () => number;
  readonly random?: () => number;
}

/** A room at one moment. Arrays are replaced, never changed. */
export interface RoomView {
  readonly room: string;
  readonly entries: readonly Entry[];
  readonly pending: readonly Pending[];
  readonly members: readonly Member[];
  readonly notes: readonly string[];
  readonly synced: boolean;
  readonly hasOlder: boolean;
  readonly loadingOlder: boolean;
}

/** What a chat tells its page. */
export interface ChatEvents {
  state(state: ConnectionState): void;
  /** Something in the room changed; `fresh` is what was published just now, never history. */
  room(room: string, fresh?: Entry): void;
  error(error: ChatError): void;
}

/** What became of an attempt to say something. */
export type SayResult = 'queued' | 'empty' | 'too-long' | 'outbox-full';

/** One client of the chat. */
export class Chat {
  readonly clientId: string;
  #user: string;
  readonly #options: ChatOptions;
  readonly #events: ChatEvents;
  readonly #link: Link;
  readonly #outbox: Outbox;
  readonly #rooms = new Map<string, Room>();
  readonly #inFlight = new Set<string>();
  readonly #now: () => number;
  #heartbeat: number | ReturnType<typeof setInterval> | undefined;

  constructor(options: ChatOptions, events: ChatEvents) {
    this.clientId = options.clientId;
    this.#user = options.user;
    this.#options = options;
    this.#events = events;
    this.#now = options.now ?? Date.now;
    this.#outbox = new Outbox(options.storage, `pointsman.outbox.${options.clientId}`);
    this.#link = new Link(
      { ...options, now: this.#now, random: options.random ?? Math.random },
      {
        up: () => this.#up(),
        state: (state) => this.#stateChanged(state),
        message: (topic, payload) => this.#message(topic, payload),
      },
    );
  }

  /** How the connection stands. */
  get state(): ConnectionState {
    return this.#link.state;
  }

  /** The display name. */
  get user(): string {
    return this.#user;
  }

  /** Connects and stays connected; also the way back after `taken-over`. */
  start(): void {
    const set = this.#options.timers?.setInterval ?? setInterval;
    this.#heartbeat ??= set(() => this.#sayHere(), HEARTBEAT_MS);
    this.#link.start();
  }

  /** Disconnects. What is queued stays queued. */
  stop(): void {
    const clear = this.#options.timers?.clearInterval ?? clearInterval;
    if (this.#heartbeat !== undefined) clear(this.#heartbeat as number);
    this.#heartbeat = undefined;
    this.#link.stop();
  }

  /** Connects at once instead of waiting for the next attempt. */
  wake(): void {
    this.#link.wake();
  }

  /** Enters a room; `false` when this client is in too many already. */
  join(name: string): boolean {
    if (this.#rooms.has(name)) return true;
    if (this.#rooms.size >= ROOMS_MAX) return false;
    const room = new Room(name);
    this.#rooms.set(name, room);
    if (this.state === 'online') this.#enterLater(room);
    return true;
  }

  /** Leaves a room, forgets its log, and gives up what waits to be sent there. */
  leave(name: string): void {
    if (!this.#rooms.delete(name)) return;
    for (const item of this.#outbox.items) {
      if (item.room === name) this.#outbox.remove(item.nonce);
    }
    if (this.state !== 'online') return;
    this.#send({ leave: name });
    this.#link.unsubscribe(roomTopic(name)).catch(() => {});
  }

  /** Says something. It is sent when the room is in step with the server, now or after the next connection. */
  say(room: string, text: string): SayResult {
    if (text.trim() === '') return 'empty';
    if (text.length > TEXT_CHARS_MAX) return 'too-long';
    const said = { nonce: randomId(''), room, user: this.#user, text, timestamp: this.#now() };
    if (!this.#outbox.add(said)) return 'outbox-full';
    this.#events.room(room);
    this.#flush(room);
    return 'queued';
  }

  /** Sends a refused message again. */
  retry(room: string, nonce: string): void {
    this.#outbox.mark(nonce, 'queued');
    this.#events.room(room);
    this.#flush(room);
  }

  /** Gives a message up that has not been sent. */
  discard(room: string, nonce: string): void {
    this.#outbox.remove(nonce);
    this.#events.room(room);
  }

  /** Goes by another name from now on; what was refused under the old one is sent again. */
  rename(user: string): void {
    this.#user = user;
    this.#outbox.rename(user);
    for (const item of this.#outbox.items) {
      if (item.status === 'failed') this.#outbox.mark(item.nonce, 'queued');
    }
    for (const room of this.#rooms.values()) {
      if (this.state === 'online') this.#hello(room.name);
      this.#events.room(room.name);
      this.#flush(room.name);
    }
  }

  /** Asks for messages older than the oldest one known, if there are any. */
  older(name: string): void {
    const before = this.#rooms.get(name)?.askOlder(this.#now());
    if (before === undefined) return;
    this.#send({ sendroom: name, before, limit: HISTORY_PAGE_MESSAGES });
    this.#events.room(name);
  }

  /** The room as it is now, or `undefined` when this client is not in it. */
  view(name: string): RoomView | undefined {
    const room = this.#rooms.get(name);
    if (room === undefined) return undefined;
    const { log, members, notes, synced, hasOlder, loadingOlder } = room;
    const pending = this.#outbox.items.filter((item) => item.room === name);
    return { room: name, entries: log.entries, pending, members, notes, synced, hasOlder, loadingOlder };
  }

  async #up(): Promise<void> {
    this.#inFlight.clear();
    await this.#link.subscribe(inboxTopic(this.clientId));
    await Promise.all([...this.#rooms.values()].map((room) => this.#enter(room)));
  }

  /** Subscribes first and asks for history then, so that nothing falls between the two. */
  async #enter(room: Room): Promise<void> {
    const { name } = room;
    try {
      await this.#link.subscribe(roomTopic(name));
    } catch (error) {
      // One forbidden room must not cost the others their connection.
      if (!(error instanceof Refused)) throw error;
      this.#events.error({ code: 'room_refused', message: `You may not enter ${name}: ${error.message}.`, received: name });
      return;
    }
    if (this.#rooms.get(name) !== room) return;
    room.connectionUp();
    this.#hello(name);
    this.#send({ sendroom: name });
  }

  #enterLater(room: Room): void {
    this.#enter(room).catch(() => {
      // The connection went: the next one enters every room.
    });
  }

  #hello(path: string): void {
    const host = this.#options.host ?? new URL(this.#options.url).host;
    this.#send({ connected: true, host, path, user: this.#user });
  }

  #sayHere(): void {
    if (this.state !== 'online') return;
    for (const here of this.#rooms.keys()) this.#send({ here, user: this.#user }, 0);
  }

  /** For what the next connection says again anyway: failure needs no answer. */
  #send(outgoing: Outgoing, qos: 0 | 1 = 1): void {
    this.#link.publish(TOPIC_OUT, JSON.stringify(outgoing), qos).catch(() => {});
  }

  #stateChanged(state: ConnectionState): void {
    if (state === 'offline' || state === 'taken-over') {
      for (const room of this.#rooms.values()) room.connectionDown();
    }
    if (state === 'online') {
      // Those that were joined while the connection came up.
      for (const room of this.#rooms.values()) if (!room.entered) this.#enterLater(room);
    }
    this.#events.state(state);
    for (const name of this.#rooms.keys()) this.#events.room(name);
  }

  #message(topic: string, payload: string): void {
    if (topic === inboxTopic(this.clientId)) {
      const command = parseCommand(payload);
      if (command !== undefined) this.#command(command);
      return;
    }
    const room = [...this.#rooms.values()].find(({ name }) => roomTopic(name) === topic);
    const entry = room && parsePublished(payload);
    if (room === undefined || entry === undefined) return;
    const fresh = room.published(entry);
    this.#settle([entry]);
    if (fresh) this.#events.room(room.name, entry);
  }

  #command(command: Command): void {
    if (command.cmd === 'error') return this.#refused(command.error);
    const room = this.#rooms.get(command.room);
    if (room === undefined) return;
    if (command.cmd === 'welcome') {
      room.welcome(command.notes, command.members);
    } else {
      const { before, closed } = room.history(command.messages, command.count);
      this.#settle(command.messages);
      if (before !== undefined) this.#send({ sendroom: room.name, before, limit: HISTORY_PAGE_MESSAGES });
      if (closed) this.#resend(room);
    }
    this.#events.room(room.name);
  }

  /** What came back is no longer on its way. */
  #settle(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.kind === 'message' && entry.clientId === this.clientId && entry.nonce !== undefined) {
        this.#outbox.remove(entry.nonce);
      }
    }
  }

  /** In step with the server: whatever has not come back by now is sent (again); its nonce makes it appear once. */
  #resend(room: Room): void {
    for (const item of this.#outbox.items) {
      if (item.room !== room.name) continue;
      if (room.log.hasNonce(this.clientId, item.nonce)) this.#outbox.remove(item.nonce);
      else if (item.status === 'sent' && !this.#inFlight.has(item.nonce)) this.#outbox.mark(item.nonce, 'queued');
    }
    this.#flush(room.name);
  }

  #flush(name: string): void {
    if (this.#rooms.get(name)?.synced !== true) return;
    for (const { nonce, user, text } of this.#outbox.queued(name)) {
      if (this.#inFlight.has(nonce)) continue;
      this.#inFlight.add(nonce);
      // The nonce comes first, so that it is within what an error quotes.
      const outgoing: Outgoing = { room: name, message: { nonce, user, text } };
      this.#link.publish(TOPIC_OUT, JSON.stringify(outgoing), 1).then(
        () => this.#acknowledged(name, nonce),
        (error: unknown) => this.#unacknowledged(name, nonce, error),
      );
    }
  }

  #acknowledged(room: string, nonce: string): void {
    this.#inFlight.delete(nonce);
    const item = this.#outbox.items.find((pending) => pending.nonce === nonce);
    if (item?.status === 'queued') this.#outbox.mark(nonce, 'sent');
    this.#events.room(room);
  }

  #unacknowledged(room: string, nonce: string, error: unknown): void {
    if (!(error instanceof Refused)) return;
    this.#inFlight.delete(nonce);
    this.#outbox.mark(nonce, 'failed', error.message);
    this.#events.room(room);
  }

  #refused(error: ChatError): void {
    const item = this.#outbox.items.find(({ nonce }) => error.received.includes(nonce));
    if (item !== undefined) {
      this.#inFlight.delete(item.nonce);
      this.#outbox.mark(item.nonce, 'failed', error.message);
      this.#events.room(item.room);
    }
    this.#events.error(error);
  }
}
