/**
 * The bytes that a session wants to send, gathered in buffers of one size until its owner takes them: one for a usual turn of the
 * event loop, more for large contents, so that nothing is copied to make room. Buffers come from a small shared store and go back
 * to it; an idle session holds none.
 *
 * Hot path.
 */

export class Output {
  /** The buffer that is being filled, up to `length`. Read it anew after each `reserve`. */
  bytes = EMPTY;
  length = 0;
  /** Bytes of the buffers that are full. */
  fullBytes = 0;
  readonly #full: Buffer[] = [];

  /** All that was gathered. */
  get waitingBytes(): number {
    return this.fullBytes + this.length;
  }

  /** Makes room for `more` bytes behind `length`, at most `OUTPUT_BYTES`. */
  reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    if (this.length > 0) {
      this.#full.push(this.bytes.subarray(0, this.length));
      this.fullBytes += this.length;
    }
    this.bytes = store.pop() ?? Buffer.allocUnsafeSlow(OUTPUT_BYTES);
    this.length = 0;
  }

  /** The oldest of what was gathered, which is the caller's from now on; null when there is nothing. */
  take(): Buffer | null {
    const full = this.#full.shift();
    if (full !== undefined) {
      this.fullBytes -= full.length;
      return full;
    }
    if (this.length === 0) return null;
    const taken = this.bytes.subarray(0, this.length);
    this.bytes = EMPTY;
    this.length = 0;
    return taken;
  }
}

/** Gives back what `take` returned, once nobody reads it any more. Optional: what is not given back is collected. */
export function recycleOutput(taken: Buffer): void {
  if (store.length >= MAX_STORED || taken.buffer.byteLength !== OUTPUT_BYTES) return;
  store.push(taken.length === OUTPUT_BYTES ? taken : Buffer.from(taken.buffer, 0, OUTPUT_BYTES));
}

/**
 * A copy of content that has to wait, in a buffer of the store when it is large: memory of its own for each would keep the collector
 * busy (a third of the CPU time of 100 KiB responses). Give it to `recycleOutput` once it is sent or dropped.
 */
export function copyToKeep(bytes: Buffer, start: number, end: number): Buffer {
  const length = end - start;
  if (length <= SMALL_BYTES || length > OUTPUT_BYTES) return Buffer.from(bytes.subarray(start, end));
  const kept = store.pop() ?? Buffer.allocUnsafeSlow(OUTPUT_BYTES);
  bytes.copy(kept, 0, start, end);
  return length === OUTPUT_BYTES ? kept : kept.subarray(0, length);
}

/** A turn of many small responses, or three full frames and what goes with them. */
const OUTPUT_BYTES = 64 * 1024;
/** Of what a busy process has under way, 4 MiB. */
const MAX_STORED = 64;
const SMALL_BYTES = 16 * 1024;
const EMPTY: Buffer = Buffer.alloc(0);
const store: Buffer[] = [];
