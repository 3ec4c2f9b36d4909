import { describe, expect, test } from 'vitest';

import { PosternError } from '#base/error.ts';

import { compileModule, instantiate, isGlobal, isTrap, makeMemory } from './engine.ts';
import { FUEL_EXPORT, meterModule } from './fuel.ts';

const NONE: ReadonlySet<string> = new Set(['opa_abort']);
const PREAMBLE = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
/** One type `() -> ()`, the memory `env.memory`, one function, exported as `f`. */
const HEAD = [
  ...PREAMBLE,
  1,
  4,
  1,
  0x60,
  0,
  0,
  2,
  15,
  1,
  3,
  0x65,
  0x6e,
  0x76,
  6,
  0x6d,
  0x65,
  0x6d,
  0x6f,
  0x72,
  0x79,
  2,
  0,
  1,
  3,
  2,
  1,
  0,
  7,
  5,
  1,
  1,
  0x66,
  0,
  0,
];

describe('meterModule()', () => {
  test.each([
    { why: 'an endless loop', body: [0x03, 0x40, 0x0c, 0, 0x0b] },
    { why: 'an endless loop in a block', body: [0x02, 0x40, 0x03, 0x40, 0x0c, 0, 0x0b, 0x0b] },
    { why: 'endless recursion', body: [0x10, 0] },
    { why: 'a loop that grows memory', body: [0x03, 0x40, 0x41, 1, 0x40, 0, 0x1a, 0x0c, 0, 0x0b] },
  ])('ends $why', ({ body }) => {
    const { left, run } = load(moduleOf(body), 10_000);
    expect(run).toThrow(Error);
    expect(left()).toBeLessThan(0);
  });

  test('pays for each round of a loop what is in it', () => {
    // (loop nop nop nop): one round, 4 instructions and the end.
    const { left, run } = load(moduleOf([0x03, 0x40, 1, 1, 1, 0x0b]), 1_000);
    run();
    expect(1_000 - left()).toBeGreaterThanOrEqual(7);
    expect(1_000 - left()).toBeLessThan(12);
  });

  test.each([
    { why: 'nothing', bytes: [] },
    { why: 'another version', bytes: [0x00, 0x61, 0x73, 0x6d, 2, 0, 0, 0] },
    { why: 'a section that is cut off', bytes: [...PREAMBLE, 1, 200] },
    { why: 'sections out of order', bytes: [...PREAMBLE, 3, 1, 0, 1, 1, 0] },
    { why: 'a section twice', bytes: [...PREAMBLE, 1, 1, 0, 1, 1, 0] },
    { why: 'a memory of its own', bytes: [...PREAMBLE, 5, 3, 1, 0, 1] },
    { why: 'no memory', bytes: [...PREAMBLE, 1, 1, 0] },
    { why: 'an import that is not the ABI’s', bytes: [...PREAMBLE, 2, 7, 1, 1, 0x61, 1, 0x62, 0, 0] },
    { why: 'a number without an end', bytes: [...PREAMBLE, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0] },
    { why: 'bulk memory', bytes: moduleOf([0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 11, 0]) },
    { why: 'a vector instruction', bytes: moduleOf([0xfd, 0]) },
    { why: 'an atomic instruction', bytes: moduleOf([0xfe, 0]) },
    { why: 'a tail call', bytes: moduleOf([0x12, 0]) },
    { why: 'code behind the end', bytes: moduleOf([0x0b, 1]) },
    { why: 'a function without an end', bytes: [...HEAD, 10, 4, 1, 2, 0, 1] },
  ])('refuses $why', ({ bytes }) => {
    expect(() => meterModule(Uint8Array.from(bytes), NONE)).toThrow(PosternError);
  });

  test('refuses every module that is cut off, or leaves it to the engine', () => {
    const whole = moduleOf([0x03, 0x40, 0x0c, 0, 0x0b]);
    for (let length = 0; length < whole.length; length++) {
      expect(() => compileModule(meterModule(Uint8Array.from(whole.slice(0, length)), NONE).bytes)).toThrow(Error);
    }
  });
});

function moduleOf(body: readonly number[]): number[] {
  const code = [0, ...body, 0x0b];
  return [...HEAD, 10, code.length + 2, 1, code.length, ...code];
}

function load(bytes: readonly number[], fuel: number): { readonly run: () => void; readonly left: () => number } {
  const { bytes: metered } = meterModule(Uint8Array.from(bytes), NONE);
  const exports = instantiate(compileModule(metered), { memory: makeMemory(1, 2) });
  const [run, counter] = [exports['f'], exports[FUEL_EXPORT]];
  if (typeof run !== 'function' || !isGlobal(counter)) throw new Error('Cannot find what the module exports');
  counter.value = fuel;
  return {
    run: () => {
      try {
        Reflect.apply(run, undefined, []);
      } catch (error) {
        expect(isTrap(error) || error instanceof RangeError).toBe(true);
        throw error;
      }
    },
    left: () => Number(counter.value),
  };
}
