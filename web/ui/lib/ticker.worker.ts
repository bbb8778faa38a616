/** Ticks in a worker, because browsers slow the timers of pages in the background to one a minute. */

interface Request {
  readonly handle: number;
  readonly ms: number | undefined;
}

const timers = new Map<number, ReturnType<typeof setInterval>>();

addEventListener('message', ({ data }: MessageEvent<Request>) => {
  const { handle, ms } = data;
  clearInterval(timers.get(handle));
  timers.delete(handle);
  if (ms !== undefined) timers.set(handle, setInterval(() => postMessage(handle), ms));
});
