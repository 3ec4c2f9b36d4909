import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { FrameFollower } from './frame-follower.ts';

/** A frame as RFC 6455, section 5.2, draws it, made apart from the product. */
function frame(opcode: number, payload: Buffer, isMasked: boolean, isFinal = true): Buffer {
  const { length } = payload;
  const size = length < 126 ? Buffer.alloc(0) : length < 65_536 ? Buffer.alloc(2) : Buffer.alloc(8);
  if (size.length === 2) size.writeUInt16BE(length);
  if (size.length === 8) size.writeBigUInt64BE(BigInt(length));
  const short = length < 126 ? length : size.length === 2 ? 126 : 127;
  const start = Buffer.from([(isFinal ? 128 : 0) | opcode, (isMasked ? 128 : 0) | short]);
  return Buffer.concat([start, size, isMasked ? Buffer.from([1, 2, 3, 4]) : Buffer.alloc(0), payload]);
}

const frames = fc.array(
  fc.record({
    opcode: fc.constantFrom(0, 1, 2, 9, 10),
    length: fc.oneof(fc.nat(130), fc.constantFrom(0, 125, 126, 65_535, 65_536)),
    isMasked: fc.boolean(),
    isFinal: fc.boolean(),
  }),
  { minLength: 1, maxLength: 6 },
);

describe('FrameFollower', () => {
  test('knows each boundary, however the bytes are cut', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 70_000 }), { maxLength: 20 }), (specs, cuts) => {
        const parts = specs.map((each) => frame(each.opcode, Buffer.alloc(each.length, 0xff), each.isMasked, each.isFinal));
        const boundaries = new Set<number>([0]);
        let total = 0;
        for (const part of parts) boundaries.add((total += part.length));
        const bytes = Buffer.concat(parts);
        const follower = new FrameFollower();
        let at = 0;
        for (const cut of [...cuts, bytes.length]) {
          const end = Math.min(bytes.length, at + cut);
          follower.follow(bytes, at, end);
          at = end;
          expect(follower.isAtBoundary).toBe(boundaries.has(at));
        }
        expect(follower.isAtBoundary).toBe(true);
        expect(follower.hasClosed).toBe(false);
      }),
    );
  });

  test('followToBoundary() stops behind the frame that it was in', () => {
    const first = frame(2, Buffer.alloc(300), false);
    const bytes = Buffer.concat([first, frame(1, Buffer.from('next'), false)]);
    const follower = new FrameFollower();
    follower.follow(bytes, 0, 100);
    expect(follower.followToBoundary(bytes, 100, 200)).toBe(-1);
    expect(follower.followToBoundary(bytes, 200, bytes.length)).toBe(first.length);
    expect(follower.isAtBoundary).toBe(true);
  });

  test('sees a Close frame', () => {
    const follower = new FrameFollower();
    const bytes = frame(8, Buffer.from([3, 232]), true);
    follower.follow(bytes, 0, 1);
    expect(follower.hasClosed).toBe(true);
    expect(follower.isAtBoundary).toBe(false);
    follower.follow(bytes, 1, bytes.length);
    expect(follower.isAtBoundary).toBe(true);
  });

  test('is lost in a length that no double counts, and never at a boundary again', () => {
    const follower = new FrameFollower();
    const bytes = Buffer.from([0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    follower.follow(bytes, 0, bytes.length);
    expect(follower.isLost).toBe(true);
    expect(follower.isAtBoundary).toBe(false);
    expect(follower.followToBoundary(bytes, 0, bytes.length)).toBe(-1);
  });
});
