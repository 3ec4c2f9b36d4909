/**
 * Sees the length-prefixed messages of one direction of a call as their bytes pass (gRPC over HTTP/2, "Length-Prefixed-Message"): how
 * many, and whether one is longer than allowed, which its prefix tells before any of it is passed on. It keeps no byte of them.
 * Hot path.
 */

/** What `scan` found. */
export const SCAN = { ok: 0, tooLarge: 1, badFlag: 2 } as const;

export class MessageScanner {
  /** Prefixes that were complete. */
  messages = 0;
  /** Bytes that are missing of the message under way. */
  #left = 0;
  /** Bytes of a prefix that have come. */
  #have = 0;
  #length = 0;

  /** Whether the last message is complete. */
  get isAtBoundary(): boolean {
    return this.#left === 0 && this.#have === 0;
  }

  /** Begins a new call. */
  reset(): void {
    this.messages = 0;
    this.#left = 0;
    this.#have = 0;
    this.#length = 0;
  }

  /**
   * Looks at the next run of content.
   *
   * @param limit  bytes that a message may have; 0 for any number
   * @returns a `SCAN`; after anything but `ok` the call is over
   */
  scan(bytes: Uint8Array, start: number, end: number, limit: number): number {
    let at = start;
    while (at < end) {
      if (this.#left > 0) {
        const taken = end - at < this.#left ? end - at : this.#left;
        this.#left -= taken;
        at += taken;
        continue;
      }
      const byte = bytes[at++] ?? 0;
      if (this.#have === 0) {
        // The compressed flag: one bit, the rest is reserved.
        if (byte > 1) return SCAN.badFlag;
        this.#length = 0;
      } else {
        this.#length = this.#length * 256 + byte;
      }
      if (++this.#have < PREFIX_BYTES) continue;
      this.#have = 0;
      this.messages++;
      if (limit > 0 && this.#length > limit) return SCAN.tooLarge;
      this.#left = this.#length;
    }
    return SCAN.ok;
  }
}

const PREFIX_BYTES = 5;
