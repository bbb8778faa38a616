/** What the chat remembers in this browser: the name and the rooms. Forbidden storage means: nothing. */

import { ROOMS_MAX, parseRoom, parseUser } from '@pointsman/client';

const USER_KEY = 'pointsman.user';
const ROOMS_KEY = 'pointsman.rooms';

/** The name chosen before, if it is still a valid one. */
export function loadUser(): string | undefined {
  return parseUser(read(USER_KEY) ?? '');
}

/** Remembers the name. */
export function saveUser(user: string): void {
  write(USER_KEY, user);
}

/** The rooms entered before, the last used first. */
export function loadRooms(): string[] {
  try {
    const rooms: unknown = JSON.parse(read(ROOMS_KEY) ?? '[]');
    if (!Array.isArray(rooms)) return [];
    return rooms.filter((room) => typeof room === 'string' && parseRoom(room) === room).slice(0, ROOMS_MAX);
  } catch {
    return [];
  }
}

/** Remembers the rooms. */
export function saveRooms(rooms: readonly string[]): void {
  write(ROOMS_KEY, JSON.stringify(rooms.slice(0, ROOMS_MAX)));
}

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // The choice lasts as long as the page.
  }
}
