import { expect, test } from 'vitest';

import { CLOSE_CODE, closeFrame } from './close-frame.ts';
import { FrameFollower } from './frame-follower.ts';

test('closeFrame() towards a client is not masked', () => {
  expect(closeFrame(CLOSE_CODE.policyViolation, 'no', null)).toEqual(Buffer.from([0x88, 4, 0x03, 0xf0, 0x6e, 0x6f]));
});

test('closeFrame() towards a server is masked', () => {
  expect(closeFrame(CLOSE_CODE.policyViolation, 'no', Buffer.from([1, 2, 3, 4]))).toEqual(
    Buffer.from([0x88, 0x84, 1, 2, 3, 4, 0x03 ^ 1, 0xf0 ^ 2, 0x6e ^ 3, 0x6f ^ 4]),
  );
});

test('closeFrame() cuts a reason to what a control frame can hold', () => {
  const frame = closeFrame(CLOSE_CODE.goingAway, 'x'.repeat(500), null);
  expect(frame.length).toBe(2 + 125);
  const follower = new FrameFollower();
  follower.follow(frame, 0, frame.length);
  expect([follower.isAtBoundary, follower.hasClosed]).toEqual([true, true]);
});
