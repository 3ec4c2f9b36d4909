/**
 * A header block that comes in more than one frame (RFC 9113, section 4.3), gathered up to its bounds.
 *
 * Hot path.
 */
import type { H2Fault } from './faults.ts';
import type { H2Limits } from './limits.ts';

export class HeaderBlock {
  streamId = 0;
  endsStream = false;
  /** The stream that its priority names, 0 for none. */
  dependsOn = 0;
  bytes = NOTHING;
  length = 0;
  readonly #limits: H2Limits;
  #frames = 0;

  constructor(limits: H2Limits) {
    this.#limits = limits;
  }

  begin(streamId: number, endsStream: boolean, dependsOn: number): void {
    this.streamId = streamId;
    this.endsStream = endsStream;
    this.dependsOn = dependsOn;
    this.length = 0;
    this.#frames = 0;
  }

  /** Counts a fragment of `length` bytes before it is kept. */
  fragmentFault(length: number): H2Fault | null {
    if (this.#frames++ > this.#limits.continuationFrames) return 'too_many_continuations';
    return this.length + length > this.#limits.headerBlockBytes ? 'header_block_too_large' : null;
  }

  add(bytes: Buffer, start: number, end: number): void {
    const length = this.length + end - start;
    if (length > this.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(2 * this.bytes.length, length, 1024));
      this.bytes.copy(grown, 0, 0, this.length);
      this.bytes = grown;
    }
    bytes.copy(this.bytes, this.length, start, end);
    this.length = length;
  }

  /** Lets go of the memory; what was read from here keeps it. */
  clear(): void {
    this.bytes = NOTHING;
    this.length = 0;
  }
}

const NOTHING: Buffer = Buffer.alloc(0);
