/** `@pointsman/client`: the chat of Pointsman for browsers and Node. */

export { Chat, HEARTBEAT_MS, ROOMS_MAX } from './chat.ts';
export type { ChatEvents, ChatOptions, RoomView, SayResult } from './chat.ts';
export { browserClaim, claimClientId, randomId } from './identity.ts';
export type { Claim, IdentityOptions } from './identity.ts';
export type { ConnectionState } from './link.ts';
export { OUTBOX_MESSAGES_MAX } from './outbox.ts';
export type { OutboxStorage, Pending, PendingStatus } from './outbox.ts';
export { TEXT_CHARS_MAX, USER_CHARS_MAX, parseRoom, parseUser } from './protocol.ts';
export type { ChatError, ChatEvent, ChatMessage, Entry, Member } from './protocol.ts';
export type { Timers } from './wake.ts';
