/** Times and days as the reader's own locale writes them. */

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });
const dayThisYear = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const dayOtherYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' });

/** Hour and minute. */
export function clockTime(timestamp: number): string {
  return clock.format(timestamp);
}

/** Day and time in full, for a tooltip. */
export function fullTime(timestamp: number): string {
  return full.format(timestamp);
}

/** A key that is equal for all times of one local day. */
export function dayKey(timestamp: number): string {
  const date = new Date(timestamp);
  return `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`;
}

/** The day's name as seen from `now`: Today, Yesterday, or its date. */
export function dayLabel(timestamp: number, now: number): string {
  const today = new Date(now);
  const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
  if (dayKey(timestamp) === dayKey(now)) return 'Today';
  if (dayKey(timestamp) === dayKey(yesterday.getTime())) return 'Yesterday';
  const sameYear = new Date(timestamp).getFullYear() === today.getFullYear();
  return (sameYear ? dayThisYear : dayOtherYear).format(timestamp);
}
