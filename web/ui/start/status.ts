/** What the server says about itself: `GET /api/status`. */

/** One address that the server listens on. */
export interface Listener {
  readonly kind: string;
  readonly url: string;
}

/** The part of the status that the start page shows. */
export interface Status {
  readonly version: string | undefined;
  readonly listeners: readonly Listener[];
}

/** How each kind of listener is called, in the order they are shown. */
const KINDS: Readonly<Record<string, string>> = {
  https: 'Pages and HTTP, encrypted',
  http: 'Pages and HTTP',
  wss: 'MQTT over secure WebSockets',
  ws: 'MQTT over WebSockets',
  mqtts: 'MQTT over TLS',
  mqtt: 'MQTT over TCP',
};

/** What a kind of listener is for. */
export function describeKind(kind: string): string {
  return KINDS[kind] ?? kind;
}

/** Asks the server. Rejects when it does not answer; members that are missing or malformed are left out. */
export async function fetchStatus(): Promise<Status> {
  const response = await fetch('/api/status', { headers: { accept: 'application/json' } });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return parseStatus(await response.json());
}

/** Reads a status, known kinds first and in the order of `KINDS`. */
export function parseStatus(value: unknown): Status {
  const { version, listeners } = (value ?? {}) as { version?: unknown; listeners?: unknown };
  const order = Object.keys(KINDS);
  const rank = ({ kind }: Listener) => (order.includes(kind) ? order.indexOf(kind) : order.length);
  const named = (Array.isArray(listeners) ? listeners : []).filter(isListener);
  // `localhost` means both loopback addresses, so the second one of a port says nothing new.
  const known = new Set(named.map(({ url }) => url));
  const distinct = named.filter(({ url }) => !url.includes('//[::1]:') || !known.has(url.replace('[::1]', 'localhost')));
  const sorted = [...distinct, ...distinct.flatMap(mqttSocketOf)].sort((a, b) => rank(a) - rank(b));
  return { version: typeof version === 'string' ? version : undefined, listeners: sorted };
}

/** The port of the first listener of a kind; `undefined` when there is none. */
export function portOf({ listeners }: Status, kind: string): string | undefined {
  const url = listeners.find((listener) => listener.kind === kind)?.url;
  return url === undefined ? undefined : /:(\d+)\/?$/.exec(url)?.[1];
}

/** MQTT over WebSockets is a path of the pages' listener, which the status does not name apart. */
function mqttSocketOf({ kind, url }: Listener): Listener[] {
  if (kind !== 'http' && kind !== 'https') return [];
  const socketKind = kind === 'http' ? 'ws' : 'wss';
  return [{ kind: socketKind, url: `${url.replace(/^http/, 'ws').replace(/\/$/, '')}/mqtt` }];
}

function isListener(value: unknown): value is Listener {
  const { kind, url } = (value ?? {}) as Partial<Listener>;
  return typeof kind === 'string' && typeof url === 'string';
}
