/** Timers that keep their pace in a background tab. */

import type { Timers } from '@pointsman/client';

/** Starts the worker and returns timers that run on it. */
export function workerTimers(): Timers {
  const worker = new Worker(new URL('./ticker.worker.ts', import.meta.url), { type: 'module' });
  const tasks = new Map<number, () => void>();
  let last = 0;
  worker.addEventListener('message', ({ data }: MessageEvent<number>) => tasks.get(data)?.());
  return {
    setInterval(task, ms) {
      const handle = ++last;
      tasks.set(handle, task);
      worker.postMessage({ handle, ms });
      return handle;
    },
    clearInterval(handle) {
      if (tasks.delete(handle)) worker.postMessage({ handle });
    },
  };
}
