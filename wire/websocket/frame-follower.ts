/**
 * Follows the frames of one direction of a WebSocket (RFC 6455, section 5.2) from byte to byte, to know where one ends: only there may
 * something be put between. It keeps no payload, changes nothing and judges nothing but whether it can still follow.
 *
 * Hot path: no allocation.
 */

export class FrameFollower {
  /** A length that is none: from here on no boundary is known any more. */
  isLost = false;
  /** A Close frame has begun or passed: nothing may follow it. */
  hasClosed = false;
  #step: Step = FIRST;
  /** Bytes of the extended length, then of the mask, that are still to come. */
  #lengthLeft = 0;
  #maskLeft = 0;
  /** Payload that is still to come; while the length is read, what it is so far. */
  #payloadLeft = 0;

  /** Nothing of a frame has been begun and not completed. */
  get isAtBoundary(): boolean {
    return this.#step === FIRST && !this.isLost;
  }

  /** Follows all of the bytes from `start` to `end`. */
  follow(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end && !this.isLost) at = this.#advance(bytes, at, end);
  }

  /** Follows up to the next boundary; returns the offset behind the frame that ended, -1 when none did before `end`. */
  followToBoundary(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && !this.isLost) {
      at = this.#advance(bytes, at, end);
      if (this.isAtBoundary) return at;
    }
    return -1;
  }

  /** At least one byte further, and never beyond the end of a frame. */
  #advance(bytes: Buffer, at: number, end: number): number {
    if (this.#step === PAYLOAD) {
      const taken = end - at < this.#payloadLeft ? end - at : this.#payloadLeft;
      this.#payloadLeft -= taken;
      if (this.#payloadLeft === 0) this.#step = FIRST;
      return at + taken;
    }
    const byte = bytes[at] ?? 0;
    switch (this.#step) {
      case FIRST:
        if ((byte & 15) === CLOSE) this.hasClosed = true;
        this.#step = SECOND;
        return at + 1;
      case SECOND: {
        const length = byte & 127;
        this.#maskLeft = byte >> 7 === 0 ? 0 : 4;
        this.#lengthLeft = length < 126 ? 0 : length === 126 ? 2 : 8;
        this.#payloadLeft = length < 126 ? length : 0;
        break;
      }
      case LENGTH:
        this.#payloadLeft = this.#payloadLeft * 256 + byte;
        this.#lengthLeft--;
        // 2^53 bytes will never come; beyond that a double no longer counts by ones.
        if (this.#payloadLeft > Number.MAX_SAFE_INTEGER) this.isLost = true;
        break;
      default:
        this.#maskLeft--;
    }
    if (this.#lengthLeft > 0) this.#step = LENGTH;
    else if (this.#maskLeft > 0) this.#step = MASK;
    else this.#step = this.#payloadLeft > 0 ? PAYLOAD : FIRST;
    return at + 1;
  }
}

type Step = 0 | 1 | 2 | 3 | 4;
const FIRST = 0;
const SECOND = 1;
const LENGTH = 2;
const MASK = 3;
const PAYLOAD = 4;

/** Opcode of a Close frame. */
const CLOSE = 8;
