import { describe, expect, test } from 'vitest';

import { encodeModule } from './encoder.ts';
import { add, branch, branchIf, call, giveBack, load, loop, store } from './instructions.ts';
import type { Instruction } from './instructions.ts';

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  readonly run: (value: number) => number;
}

declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

function instantiate(body: readonly Instruction[], image: Uint8Array = new Uint8Array(0)): Exports {
  const run = { name: 'run', isExported: true, parameters: ['value'], hasResult: true, locals: ['sum'], body };
  const bytes = encodeModule({ functions: [run], memoryPages: 1, image });
  // The exports are those of `run` above.
  return new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as Exports;
}

describe('encodeModule()', () => {
  test.each([0, 1, -1, 63, 64, -64, -65, 127, 128, 8191, 8192, -8192, -8193, 2 ** 31 - 1, -(2 ** 31), 0x811c9dc5 | 0])(
    'writes the constant %i',
    (value) => {
      expect(instantiate([giveBack(value)]).run(0)).toBe(value);
    },
  );

  test('fixes the size of the memory', () => {
    const { memory } = instantiate([giveBack(0)]);
    expect(memory.buffer.byteLength).toBe(65_536);
    expect(() => memory.grow(1)).toThrow(RangeError);
  });

  test.each([
    { why: 'nothing', image: [] },
    { why: 'zeros', image: [0, 0, 0] },
    { why: 'short runs of zeros', image: [1, 0, 0, 2, 0, 3] },
    { why: 'long runs of zeros', image: [1, ...Array.from({ length: 50 }, () => 0), 2, ...Array.from({ length: 20 }, () => 0)] },
    {
      why: 'more runs than segments are allowed',
      image: Array.from({ length: 60_000 }, (_, index) => (index % 2 === 0 ? 7 : 0)),
    },
  ])('starts memory with $why', ({ image }) => {
    const { memory } = instantiate([giveBack(0)], Uint8Array.from(image));
    expect([...new Uint8Array(memory.buffer, 0, image.length)]).toEqual(image);
  });

  test('counts blocks for branches, calls and loads by offset', () => {
    const sumBytes = [
      store(100, 5),
      loop('again', { kind: 'set', local: 'sum', value: add('sum', 'value') }, branchIf('again', 0)),
      giveBack(add('sum', load(96, 4))),
    ];
    expect(instantiate(sumBytes).run(7)).toBe(12);
  });

  test.each([
    { why: 'a local that is not there', body: [giveBack('none')] },
    { why: 'a branch out of nowhere', body: [branch('none'), giveBack(0)] },
    { why: 'a call of nothing', body: [giveBack(call('none'))] },
  ])('refuses $why', ({ body }) => {
    expect(() => instantiate(body)).toThrow('none');
  });
});
