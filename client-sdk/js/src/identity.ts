/** One client id for each tab: kept over reloads, taken up again by the next tab, never shared by two. */

/** Most client ids that a browser remembers. */
export const IDENTITIES_MAX = 8;
/** How long a reloaded tab waits for its former self to let go of the id. */
const HANDOVER_MS = 400;

const TAB_KEY = 'pointsman.clientId';
const POOL_KEY = 'pointsman.clientIds';

/** Claims `id` for as long as this page lives; `false` when another page has it. */
export type Claim = (id: string, patience: 'wait' | 'at-once') => Promise<boolean>;

/** What finding an identity needs from the browser. */
export interface IdentityOptions {
  readonly tab: Pick<Storage, 'getItem' | 'setItem'>;
  readonly pool: Pick<Storage, 'getItem' | 'setItem'>;
  readonly claim: Claim;
  readonly create: () => string;
}

/**
 * The client id for this tab. The tab's own id comes first, so that a reload keeps it. A new tab takes up an id
 * this browser used before and nobody uses now, because names are claimed by client id. A duplicated tab finds
 * its copied id taken and gets another.
 */
export async function claimClientId(options: IdentityOptions): Promise<string> {
  const own = options.tab.getItem(TAB_KEY);
  const pool = readPool(options.pool.getItem(POOL_KEY));
  const id = (await firstClaimed(own, pool, options.claim)) ?? options.create();
  if (id !== own && !pool.includes(id)) await options.claim(id, 'at-once');
  try {
    options.tab.setItem(TAB_KEY, id);
    options.pool.setItem(POOL_KEY, JSON.stringify([id, ...pool.filter((other) => other !== id)].slice(0, IDENTITIES_MAX)));
  } catch {
    // Without storage the id lasts as long as the page.
  }
  return id;
}

async function firstClaimed(own: string | null, pool: string[], claim: Claim): Promise<string | undefined> {
  if (own !== null && isClientId(own) && (await claim(own, 'wait'))) return own;
  for (const id of pool) {
    if (id !== own && (await claim(id, 'at-once'))) return id;
  }
  return undefined;
}

/** The claim that this browser supports best: Web Locks, or asking the other tabs where the page is not secure. */
export function browserClaim(): Claim {
  return 'locks' in navigator ? claimByLock : claimByBroadcast();
}

/** A client id that nobody else has. Works without a secure context, unlike `crypto.randomUUID`. */
export function randomId(prefix: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return prefix + Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function claimByLock(id: string, patience: 'wait' | 'at-once'): Promise<boolean> {
  const options: LockOptions =
    patience === 'wait' ? { signal: AbortSignal.timeout(HANDOVER_MS) } : { ifAvailable: true };
  return new Promise((resolve) => {
    navigator.locks
      .request(`pointsman.client.${id}`, options, (lock) => {
        resolve(lock !== null);
        // Never settles: the browser releases the lock when the page goes.
        return lock === null ? undefined : new Promise<never>(() => {});
      })
      .catch(() => resolve(false));
  });
}

function claimByBroadcast(): Claim {
  const channel = new BroadcastChannel('pointsman.client');
  const held = new Set<string>();
  channel.addEventListener('message', ({ data }) => {
    if (data?.ask !== undefined && held.has(data.ask)) channel.postMessage({ held: data.ask });
  });
  return (id) =>
    new Promise((resolve) => {
      const finish = (free: boolean) => {
        clearTimeout(timer);
        channel.removeEventListener('message', onAnswer);
        if (!free) held.delete(id);
        resolve(free);
      };
      const onAnswer = ({ data }: MessageEvent) => {
        if (data?.held === id) finish(false);
      };
      const timer = setTimeout(() => finish(true), HANDOVER_MS / 2);
      channel.addEventListener('message', onAnswer);
      // Held while it is asked for: of two tabs that ask at once, neither gets it.
      held.add(id);
      channel.postMessage({ ask: id });
    });
}

function readPool(stored: string | null): string[] {
  try {
    const pool: unknown = JSON.parse(stored ?? '[]');
    return Array.isArray(pool) ? pool.filter(isClientId).slice(0, IDENTITIES_MAX) : [];
  } catch {
    return [];
  }
}

function isClientId(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{8,128}$/.test(value);
}
