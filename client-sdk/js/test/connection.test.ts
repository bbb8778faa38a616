import { describe, expect, test } from 'vitest';

import { BACKOFF_FIRST_MS, BACKOFF_MAX_MS, backoffMs } from '../src/backoff.ts';
import { IDENTITIES_MAX, claimClientId } from '../src/identity.ts';
import { SLEEP_DRIFT_MS, slept } from '../src/wake.ts';

describe('backoff', () => {
  test('doubles, is bounded and jittered over half of its bound', () => {
    expect(backoffMs(0, () => 0)).toBe(BACKOFF_FIRST_MS / 2);
    expect(backoffMs(0, () => 1)).toBe(BACKOFF_FIRST_MS);
    expect(backoffMs(3, () => 1)).toBe(BACKOFF_FIRST_MS * 8);
    expect(backoffMs(10_000, () => 1)).toBe(BACKOFF_MAX_MS);
  });
});

test('a late tick means sleep, a slightly late one does not', () => {
  expect(slept(0, 2_000 + SLEEP_DRIFT_MS, 2_000)).toBe(false);
  expect(slept(0, 2_001 + SLEEP_DRIFT_MS, 2_000)).toBe(true);
});

describe('client ids', () => {
  /** A browser: tabs with their own storage, one pool, and claims that last until the tab closes. */
  function browser() {
    const pool = storage();
    const claimed = new Map<string, object>();
    let created = 0;
    const open = async (tab = storage()) => {
      const page = {};
      const claim = async (id: string) => {
        if (claimed.has(id)) return false;
        claimed.set(id, page);
        return true;
      };
      const id = await claimClientId({ tab, pool, claim, create: () => `web-${String(++created).padStart(8, '0')}` });
      const close = () => [...claimed].forEach(([key, owner]) => owner === page && claimed.delete(key));
      return { id, tab, close };
    };
    return { open, pool };
  }

  test('a reload keeps the id', async () => {
    const { open } = browser();
    const first = await open();
    first.close();
    expect((await open(first.tab)).id).toBe(first.id);
  });

  test('a duplicated tab gets another id', async () => {
    const { open } = browser();
    const first = await open();
    const copy = storage(first.tab);
    const second = await open(copy);
    expect(second.id).not.toBe(first.id);
    second.close();
    expect((await open(copy)).id).toBe(second.id);
  });

  test('a new tab takes up an id that nobody uses now', async () => {
    const { open } = browser();
    const [a, b] = [await open(), await open()];
    expect(a.id).not.toBe(b.id);
    a.close();
    expect((await open()).id).toBe(a.id);
  });

  test('no more ids are remembered than the limit, and damaged records are none', async () => {
    const { open, pool } = browser();
    pool.setItem('pointsman.clientIds', '[1, "x", "has space in it"]');
    for (let n = 0; n < IDENTITIES_MAX + 3; n += 1) await open();
    expect(JSON.parse(pool.getItem('pointsman.clientIds') ?? '')).toHaveLength(IDENTITIES_MAX);
  });

  function storage(from?: { items: Map<string, string> }) {
    const items = new Map(from?.items);
    return {
      items,
      getItem: (key: string) => items.get(key) ?? null,
      setItem: (key: string, value: string) => void items.set(key, value),
    };
  }
});
