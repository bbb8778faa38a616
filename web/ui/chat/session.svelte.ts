/** The chat as its page sees it: the client's state in runes, and what the page may do. */

import {
  Chat, type ChatError, type ConnectionState, type Entry, type RoomView, browserClaim, claimClientId, parseRoom,
  parseUser, randomId,
} from '@pointsman/client';

import { workerTimers } from '../lib/ticker.ts';
import { loadRooms, loadUser, saveRooms, saveUser } from './preferences.ts';
import { pathOfRoom, roomOfPath } from './route.ts';

const FIRST_ROOM = '/lobby';
const TOASTS_MAX = 4;
const TOAST_MS = 8_000;

/** A passing notice. */
export interface Toast {
  readonly id: number;
  readonly text: string;
}

/** One page's chat. */
export class Session {
  connection = $state<ConnectionState>('connecting');
  clientId = $state('');
  user = $state('');
  /** Why a name is asked for now; `undefined` when it is not. */
  namePrompt = $state<string | undefined>(undefined);
  room = $state(FIRST_ROOM);
  rooms = $state<string[]>([]);
  views = $state.raw<Readonly<Record<string, RoomView | undefined>>>({});
  unread = $state<Record<string, number>>({});
  toasts = $state<Toast[]>([]);
  /** What a screen reader is told: the newest message of the room that is shown. */
  announced = $state('');
  /** What is typed and not sent, for each room. */
  drafts = $state<Record<string, string>>({});
  #chat: Chat | undefined;
  #lastToast = 0;

  /** The room that is shown. */
  readonly view = $derived(this.views[this.room]);
  /** All that arrived unseen. */
  readonly unreadTotal = $derived(Object.values(this.unread).reduce((sum, count) => sum + count, 0));

  /** Reads the address bar and what the browser remembers, then connects, or asks for a name first. */
  async open(): Promise<void> {
    const known = loadRooms();
    this.room = roomOfPath(location.pathname) ?? known[0] ?? FIRST_ROOM;
    this.rooms = [this.room, ...known.filter((room) => room !== this.room)];
    history.replaceState(null, '', pathOfRoom(this.room));
    window.addEventListener('popstate', () => {
      const room = roomOfPath(location.pathname);
      if (room !== undefined) this.#show(room);
    });
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.unread[this.room] = 0;
    });
    this.clientId = await claimClientId({
      tab: sessionStorage,
      pool: localStorage,
      claim: browserClaim(),
      create: () => randomId('web-'),
    });
    const user = loadUser();
    if (user === undefined) this.namePrompt = '';
    else this.#connect(user);
  }

  /** Takes a name, the first or another; `false` when it is not a valid one. */
  setUser(input: string): boolean {
    const user = parseUser(input);
    if (user === undefined) return false;
    saveUser(user);
    this.namePrompt = undefined;
    this.user = user;
    if (this.#chat === undefined) this.#connect(user);
    else this.#chat.rename(user);
    return true;
  }

  /** Goes to a room, entering it first if need be; `false` when that is no room's name. */
  goTo(input: string): boolean {
    const room = parseRoom(input);
    if (room === undefined) return false;
    if (room !== this.room) history.pushState(null, '', pathOfRoom(room));
    this.#show(room);
    return true;
  }

  /** Leaves a room; the next one in the list is shown instead. */
  leave(room: string): void {
    if (this.rooms.length < 2) return;
    this.#chat?.leave(room);
    this.rooms = this.rooms.filter((other) => other !== room);
    this.views = { ...this.views, [room]: undefined };
    delete this.unread[room];
    saveRooms(this.rooms);
    if (room === this.room) this.goTo(this.rooms[0] ?? FIRST_ROOM);
  }

  /** Says something in the room that is shown; `false` when it was not taken, for a reason that is shown. */
  say(text: string): boolean {
    switch (this.#chat?.say(this.room, text)) {
      case 'queued':
        return true;
      case 'outbox-full':
        this.toast('Too many messages are waiting to be sent. Try again when you are connected.');
        return false;
      case 'too-long':
        this.toast('That message is too long.');
        return false;
      case 'empty':
      case undefined:
        return false;
    }
  }

  retry(nonce: string): void {
    this.#chat?.retry(this.room, nonce);
  }

  discard(nonce: string): void {
    this.#chat?.discard(this.room, nonce);
  }

  older(): void {
    this.#chat?.older(this.room);
  }

  /** Connects now; also takes the chat back from where it was opened last. */
  reconnect(): void {
    if (this.connection === 'taken-over') this.#chat?.start();
    else this.#chat?.wake();
  }

  toast(text: string): void {
    const id = ++this.#lastToast;
    // The same notice again replaces the first.
    const others = this.toasts.filter((toast) => toast.text !== text);
    this.toasts = [...others, { id, text }].slice(-TOASTS_MAX);
    setTimeout(() => this.dismiss(id), TOAST_MS);
  }

  dismiss(id: number): void {
    this.toasts = this.toasts.filter((toast) => toast.id !== id);
  }

  #connect(user: string): void {
    this.user = user;
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    this.#chat = new Chat(
      {
        url: `${scheme}://${location.host}/mqtt`,
        clientId: this.clientId,
        user,
        storage: sessionStorage,
        timers: workerTimers(),
      },
      {
        state: (state) => (this.connection = state),
        room: (room, fresh) => this.#changed(room, fresh),
        error: (error) => this.#refused(error),
      },
    );
    for (const room of this.rooms) this.#chat.join(room);
    saveRooms(this.rooms);
    this.#chat.start();
    for (const room of this.rooms) this.#changed(room, undefined);
  }

  #show(room: string): void {
    if (this.#chat !== undefined && !this.#chat.join(room)) {
      this.toast('You are in too many rooms. Leave one first.');
      history.replaceState(null, '', pathOfRoom(this.room));
      return;
    }
    if (!this.rooms.includes(room)) this.rooms = [...this.rooms, room];
    this.room = room;
    this.unread[room] = 0;
    this.announced = '';
    // The last used first, so that /chat alone comes back here; the list on the page keeps its order.
    saveRooms([room, ...this.rooms.filter((other) => other !== room)]);
    this.#changed(room, undefined);
  }

  #changed(room: string, fresh: Entry | undefined): void {
    const view = this.#chat?.view(room);
    if (view === undefined) return;
    this.views = { ...this.views, [room]: view };
    if (fresh?.kind !== 'message' || fresh.clientId === this.clientId) return;
    if (room === this.room) this.announced = `${fresh.user}: ${fresh.text}`;
    if (room !== this.room || document.hidden) this.unread[room] = (this.unread[room] ?? 0) + 1;
  }

  #refused(error: ChatError): void {
    this.toast(error.message);
    if (error.code === 'name_taken') this.namePrompt = `“${this.user}” is taken. Choose another name.`;
  }
}
