/** Notices the moments at which a connection is worth checking at once: online, visible again, awake again. */

/** A tick that comes this much late means that the machine slept. */
export const SLEEP_DRIFT_MS = 5_000;
const TICK_MS = 2_000;

/** The timers to use; a page can pass ones that are not slowed in the background. */
export interface Timers {
  setInterval(task: () => void, ms: number): number;
  clearInterval(handle: number): void;
}

/** Whether the time between two ticks shows that the machine slept. */
export function slept(previousMs: number, nowMs: number, tickMs = TICK_MS): boolean {
  return nowMs - previousMs > tickMs + SLEEP_DRIFT_MS;
}

/** Calls `onWake` at each such moment until the returned function is called. */
export function watchWake(onWake: () => void, timers: Timers, now: () => number): () => void {
  let previous = now();
  const tick = timers.setInterval(() => {
    const current = now();
    const woke = slept(previous, current);
    previous = current;
    if (woke) onWake();
  }, TICK_MS);
  if (typeof window === 'undefined') return () => timers.clearInterval(tick);

  const onVisible = () => {
    if (document.visibilityState === 'visible') onWake();
  };
  window.addEventListener('online', onWake);
  window.addEventListener('offline', onWake);
  window.addEventListener('pageshow', onVisible);
  document.addEventListener('visibilitychange', onVisible);
  return () => {
    timers.clearInterval(tick);
    window.removeEventListener('online', onWake);
    window.removeEventListener('offline', onWake);
    window.removeEventListener('pageshow', onVisible);
    document.removeEventListener('visibilitychange', onVisible);
  };
}
