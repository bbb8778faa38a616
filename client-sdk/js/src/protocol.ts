/** The chat's wire format: topics, what a client sends, and what it may receive, parsed once at the edge. */

/** Most characters a message may have; the server refuses longer ones. */
export const TEXT_CHARS_MAX = 2000;
/** Most characters a display name may have. */
export const USER_CHARS_MAX = 40;
/** How many messages one history answer carries at most. */
export const HISTORY_PAGE_MESSAGES = 50;

/** Not `.` and not `..`: a room is part of a web address, where these mean something else. */
const ROOM_LEVEL = /^(?!\.{1,2}$)[A-Za-z0-9_.-]{1,64}$/;
const ROOM_LEVELS_MAX = 3;

/** One thing somebody said, as the server stored it. `id` sorts by time. */
export interface ChatMessage {
  readonly kind: 'message';
  readonly id: string;
  readonly user: string;
  readonly text: string;
  readonly clientId: string;
  readonly timestamp: number;
  readonly nonce?: string;
}

/** Somebody came into a room or left it. */
export interface ChatEvent {
  readonly kind: 'joined' | 'left';
  readonly id: string;
  readonly user: string;
  readonly clientId: string;
  readonly timestamp: number;
}

/** Anything that has a place in a room's log. */
export type Entry = ChatMessage | ChatEvent;

/** A client that is in a room. */
export interface Member {
  readonly clientId: string;
  readonly user: string;
}

/** Why the server refused something this client sent. */
export interface ChatError {
  readonly code: string;
  readonly message: string;
  /** The beginning of what was refused, as text. */
  readonly received: string;
}

/** What can arrive on `chat/in/<clientId>`. */
export type Command =
  | { readonly cmd: 'welcome'; readonly room: string; readonly notes: string[]; readonly members: Member[] }
  | { readonly cmd: 'history'; readonly room: string; readonly messages: ChatMessage[]; readonly count: number }
  | { readonly cmd: 'error'; readonly error: ChatError };

/** What a client publishes on `chat/out`. */
export type Outgoing =
  | { connected: true; host: string; path: string; user: string }
  | { here: string; user: string }
  | { leave: string }
  | { sendroom: string; before?: string; limit?: number }
  | { room: string; message: { nonce: string; user: string; text: string } };

/** The topic that everything a client says goes to. */
export const TOPIC_OUT = 'chat/out';

/** The topic on which the server answers this client alone. */
export function inboxTopic(clientId: string): string {
  return `chat/in/${clientId}`;
}

/** The topic that carries what is said in `room`, which begins with a slash. */
export function roomTopic(room: string): string {
  return `chat/pub${room}`;
}

/** The room as the wire spells it (`/a/b`), or `undefined` when it is not a valid room name. */
export function parseRoom(input: string): string | undefined {
  const levels = input.trim().replace(/^\/+|\/+$/g, '').split('/');
  const valid = levels.length <= ROOM_LEVELS_MAX && levels.every((level) => ROOM_LEVEL.test(level));
  return valid ? `/${levels.join('/')}` : undefined;
}

/** The display name without surrounding or doubled space, or `undefined` when it is empty or too long. */
export function parseUser(input: string): string | undefined {
  const user = input.trim().replace(/\s+/g, ' ');
  return user.length >= 1 && [...user].length <= USER_CHARS_MAX ? user : undefined;
}

/** Reads a payload of `chat/in/<clientId>`; anything unknown or malformed is `undefined`. */
export function parseCommand(payload: string): Command | undefined {
  const value = parseObject(payload);
  if (value === undefined) return undefined;
  switch (value['cmd']) {
    case 'welcome': {
      const room = text(value['room']);
      if (room === undefined) return undefined;
      const notes = list(value['messages']).flatMap((note) => text(record(note)?.['text']) ?? []);
      return { cmd: 'welcome', room, notes, members: list(value['members']).flatMap(parseMember) };
    }
    case 'history': {
      const room = text(value['room']);
      if (room === undefined) return undefined;
      const stored = list(value['messages']);
      return { cmd: 'history', room, messages: stored.flatMap(parseStored), count: stored.length };
    }
    case 'error': {
      const { code, message, received } = value;
      const error = {
        code: text(code) ?? 'unknown',
        message: text(message) ?? 'The server refused what was sent.',
        received: text(received) ?? JSON.stringify(received ?? ''),
      };
      return { cmd: 'error', error };
    }
    default:
      return undefined;
  }
}

/** Reads a payload of `chat/pub/<room>`; anything unknown or malformed is `undefined`. */
export function parsePublished(payload: string): Entry | undefined {
  const value = parseObject(payload);
  if (value === undefined) return undefined;
  const said = record(value['message']);
  if (said !== undefined) {
    // What the server adds stands beside `message` and wins over anything of that name inside it.
    const { id, clientId, timestamp } = value;
    return parseStored({ ...said, id, clientId, timestamp })[0];
  }
  const kind = value['event'];
  const [id, clientId, timestamp] = [text(value['id']), text(value['clientId']), number(value['timestamp'])];
  if ((kind !== 'joined' && kind !== 'left') || !id || !clientId || timestamp === undefined) return undefined;
  return { kind, id, clientId, timestamp, user: text(value['user']) ?? clientId };
}

function parseStored(input: unknown): ChatMessage[] {
  const value = record(input);
  if (value === undefined) return [];
  const [id, said, clientId] = [text(value['id']), text(value['text']), text(value['clientId'])];
  const [timestamp, nonce] = [number(value['timestamp']), text(value['nonce'])];
  if (!id || said === undefined || clientId === undefined || timestamp === undefined) return [];
  const user = text(value['user']) ?? clientId;
  const message = { kind: 'message' as const, id, user, text: said, clientId, timestamp };
  return [nonce === undefined ? message : { ...message, nonce }];
}

function parseMember(input: unknown): Member[] {
  const value = record(input);
  const clientId = text(value?.['clientId']);
  return clientId ? [{ clientId, user: text(value?.['user']) ?? clientId }] : [];
}

function parseObject(payload: string): Record<string, unknown> | undefined {
  try {
    return record(JSON.parse(payload));
  } catch {
    return undefined;
  }
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
