/** Rooms in the address bar: `/chat/lobby` is the room `/lobby`. */

import { parseRoom } from '@pointsman/client';

const BASE = '/chat';

/** The room that a path names, or `undefined` when it names none or no valid one. */
export function roomOfPath(pathname: string): string | undefined {
  if (!pathname.startsWith(`${BASE}/`)) return undefined;
  try {
    return parseRoom(decodeURIComponent(pathname.slice(BASE.length)));
  } catch {
    return undefined;
  }
}

/** The path of a room. */
export function pathOfRoom(room: string): string {
  return `${BASE}${room}`;
}
