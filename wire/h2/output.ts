/**
 * The bytes that a session wants to send, gathered in one buffer that grows until its owner takes it. Buffers come from a small
 * shared store and go back to it, so that an idle session holds none.
 *
 * Hot path.
 */

export class Output {
  bytes = EMPTY;
  length = 0;

  /** Makes room for `more` bytes behind `length`. */
  reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.bytes.length) return;
    if (this.length === 0 && needed <= BUFFER_BYTES) {
      this.bytes = store.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
      return;
    }
    const grown = Buffer.allocUnsafeSlow(Math.max(2 * this.bytes.length, needed, BUFFER_BYTES));
    this.bytes.copy(grown, 0, 0, this.length);
    recycleOutput(this.bytes);
    this.bytes = grown;
  }

  /** What was gathered, which is the caller's from now on; null when there is nothing. */
  take(): Buffer | null {
    if (this.length === 0) return null;
    const taken = this.bytes.subarray(0, this.length);
    this.bytes = EMPTY;
    this.length = 0;
    return taken;
  }
}

/** Gives back what `take` returned, once nobody reads it any more. Optional: what is not given back is collected. */
export function recycleOutput(taken: Buffer): void {
  if (taken.buffer.byteLength !== BUFFER_BYTES || store.length >= MAX_STORED) return;
  store.push(Buffer.from(taken.buffer, 0, BUFFER_BYTES));
}

const EMPTY: Buffer = Buffer.alloc(0);
/** A turn of many small responses, or one full frame and what goes with it. */
const BUFFER_BYTES = 32 * 1024;
const MAX_STORED = 16;
const store: Buffer[] = [];
