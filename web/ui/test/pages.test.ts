import { describe, expect, test } from 'vitest';

import { pathOfRoom, roomOfPath } from '../chat/route.ts';
import { dayLabel } from '../lib/time.ts';
import { parseStatus, portOf } from '../start/status.ts';

describe('rooms in the address', () => {
  test.each(['/lobby', '/a/b/c'])('%s comes back', (room) => expect(roomOfPath(pathOfRoom(room))).toBe(room));

  test.each(['/chat', '/chat/', '/chat/a/b/c/d', '/chat/%', '/chat/a b', '/other/lobby', '/chats/x'])('%s names no room', (path) =>
    expect(roomOfPath(path)).toBeUndefined(),
  );
});

test('days are named as seen from now', () => {
  const at = (day: number, hour: number) => new Date(2026, 4, day, hour).getTime();
  expect(dayLabel(at(10, 1), at(10, 23))).toBe('Today');
  expect(dayLabel(at(9, 23), at(10, 1))).toBe('Yesterday');
  expect(dayLabel(at(8, 23), at(10, 1))).not.toMatch(/Today|Yesterday|2026/);
  expect(dayLabel(new Date(2025, 4, 10).getTime(), at(10, 1))).toMatch(/2025/);
});

describe('the status', () => {
  test('known kinds come first, malformed ones not at all', () => {
    const listeners = [{ kind: 'mqtt', url: 'm' }, { kind: 'new', url: 'n' }, { kind: 'https', url: 'h' }, { kind: 4 }, null];
    expect(parseStatus({ version: '1', listeners }).listeners.map(({ url }) => url)).toEqual([
      'h', 'h/mqtt', 'm', 'n',
    ]);
  });

  test('MQTT over WebSockets is where the pages are', () => {
    const listeners = [{ kind: 'http', url: 'http://localhost:8080' }, { kind: 'https', url: 'https://localhost:8443' }];
    expect(parseStatus({ listeners }).listeners.map(({ kind, url }) => `${kind} ${url}`)).toEqual([
      'https https://localhost:8443', 'http http://localhost:8080',
      'wss wss://localhost:8443/mqtt', 'ws ws://localhost:8080/mqtt',
    ]);
  });

  test('the second loopback address of a port is left out, a port of its own is not', () => {
    const listeners = ['localhost:1883', '[::1]:1883', '[::1]:1884'].map((address) => ({ kind: 'mqtt', url: `mqtt://${address}` }));
    const status = parseStatus({ listeners });
    expect(status.listeners.map(({ url }) => url)).toEqual(['mqtt://localhost:1883', 'mqtt://[::1]:1884']);
    expect(portOf(status, 'mqtt')).toBe('1883');
    expect(portOf(status, 'mqtts')).toBeUndefined();
  });

  test.each([null, 7, {}, { listeners: {} }])('%j is a status that says nothing', (value) =>
    expect(parseStatus(value)).toEqual({ version: undefined, listeners: [] }),
  );
});
