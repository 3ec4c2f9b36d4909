import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { isInForce, nextBoundary } from './validity.ts';
import type { Validity } from './validity.ts';

const at = (text: string): number => Date.parse(text);
const WORK: Validity = {
  notBeforeMs: null,
  expiresMs: null,
  // Monday 08:00 to 18:00, and Sunday night into Monday.
  windows: [
    { start: 480, end: 1080 },
    { start: 6 * 1440 + 1320, end: 7 * 1440 },
  ],
};

describe('isInForce()', () => {
  test.each([
    ['2026-11-23T07:59:59.999Z', false],
    ['2026-11-23T08:00:00Z', true],
    ['2026-11-23T17:59:59.999Z', true],
    ['2026-11-23T18:00:00Z', false],
    ['2026-11-24T12:00:00Z', false],
    ['2026-11-29T21:59:59Z', false],
    ['2026-11-29T22:00:00Z', true],
    ['2026-11-30T00:00:00Z', false],
    ['1969-12-29T08:00:00Z', true],
  ])('a schedule at %s: %s', (time, wanted) => {
    expect(isInForce(WORK, at(time))).toBe(wanted);
  });

  test.each([
    [99, false],
    [100, true],
    [199, true],
    [200, false],
  ])('from 100 up to 200, at %i: %s', (nowMs, wanted) => {
    expect(isInForce({ notBeforeMs: 100, expiresMs: 200, windows: [] }, nowMs)).toBe(wanted);
  });

  test('without limits always', () => {
    expect(isInForce(null, 0)).toBe(true);
    expect(nextBoundary(null, 0)).toBeNull();
  });
});

describe('nextBoundary()', () => {
  const window = fc
    .tuple(fc.integer({ min: 0, max: 10_079 }), fc.integer({ min: 1, max: 10_080 }))
    .filter(([start, end]) => start < end)
    .map(([start, end]) => ({ start, end }));
  const validity = fc.record({
    notBeforeMs: fc.option(fc.integer({ min: 0, max: 4_000_000_000 })),
    expiresMs: fc.option(fc.integer({ min: 0, max: 4_000_000_000 })),
    windows: fc.array(window, { maxLength: 3 }),
  });

  test('nothing changes before it', () => {
    fc.assert(
      fc.property(
        validity,
        fc.integer({ min: 0, max: 4_000_000_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (limits, nowMs, share) => {
          const next = nextBoundary(limits, nowMs);
          const before = isInForce(limits, nowMs);
          if (next !== null) expect(next).toBeGreaterThan(nowMs);
          const until = next ?? nowMs + 2_000_000_000;
          const between = Math.floor(nowMs + share * (until - 1 - nowMs));
          expect(isInForce(limits, between)).toBe(before);
          expect(isInForce(limits, until - 1)).toBe(before);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
