/**
 * Who still comes without mutual TLS to ports that would let them come with it, so that one can see when such a port may become
 * STRICT. By address, because there is no identity to count by.
 */

export class PlaintextCallers {
  /** Connections by the caller's address; the rest counts together once there are too many. */
  readonly counts = new Map<string, number>();

  add(address: string): void {
    const key = this.counts.has(address) || this.counts.size < CALLERS_MAX ? address : OTHERS;
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }
}

const CALLERS_MAX = 256;
const OTHERS = 'other';
