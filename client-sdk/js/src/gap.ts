/** Closes the gap that a lost connection leaves: decides, page by page, what history to ask for next. */

import type { ChatMessage } from './protocol.ts';

/** Most messages that are fetched to close a gap; a longer gap starts the log anew at its newest part. */
export const GAP_MESSAGES_MAX = 200;

/** What to do after a page of history. */
export type GapStep =
  /** Everything since the last connection is here. */
  | { readonly kind: 'closed'; readonly atStart: boolean }
  /** The page does not reach back far enough: ask for the one before this id. */
  | { readonly kind: 'more'; readonly before: string }
  /** Too long to fetch, or a first connection: the log holds only what is at or after this id. */
  | { readonly kind: 'cut'; readonly from: string }
  /** The page answers nothing this gap has asked for. */
  | { readonly kind: 'ignored' };

/** One attempt to close a gap, begun at each connection. */
export class Gap {
  #fetched = 0;
  #cursor: string | undefined;
  #open = true;

  /** `anchor` is the newest message known before the connection was lost, if any. */
  constructor(
    private readonly anchor: string | undefined,
    private readonly pageMessages: number,
    private readonly messagesMax = GAP_MESSAGES_MAX,
  ) {}

  /** Whether pages are still awaited. */
  get open(): boolean {
    return this.#open;
  }

  /** Takes a page, oldest first; `count` is its length on the wire, malformed messages included. */
  step(page: readonly ChatMessage[], count: number): GapStep {
    if (!this.#open) return { kind: 'ignored' };
    const oldest = page[0]?.id;
    if (oldest === undefined || count < this.pageMessages) {
      return this.#answeredBefore(oldest) ? { kind: 'ignored' } : this.#close(true);
    }
    if (this.anchor !== undefined && oldest <= this.anchor) return this.#close(false);
    if (this.#answeredBefore(oldest)) return { kind: 'ignored' };
    this.#cursor = oldest;
    this.#fetched += page.length;
    // Without an anchor one page is enough, and nothing before it is known to be whole.
    if (this.anchor === undefined || this.#fetched >= this.messagesMax) {
      this.#open = false;
      return { kind: 'cut', from: oldest };
    }
    return { kind: 'more', before: oldest };
  }

  /** The server may send the newest page more than once; only a page that reaches further back is an answer. */
  #answeredBefore(oldest: string | undefined): boolean {
    return oldest !== undefined && this.#cursor !== undefined && oldest >= this.#cursor;
  }

  #close(atStart: boolean): GapStep {
    this.#open = false;
    return { kind: 'closed', atStart };
  }
}
