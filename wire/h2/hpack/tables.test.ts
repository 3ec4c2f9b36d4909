import fc from 'fast-check';
import { expect, test } from 'vitest';

import { FIELD } from '../../h1/head.ts';
import { DynamicTable } from './dynamic-table.ts';
import { EntryIndex, hashOfValue } from './entry-index.ts';

test('DynamicTable holds what a list of entries would, whatever comes and goes', () => {
  const insertion = fc.record({ name: fc.nat({ max: 40 }), value: fc.nat({ max: 1500 }) });
  const action = fc.oneof({ weight: 9, arbitrary: insertion }, { weight: 1, arbitrary: fc.constantFrom(0, 100, 1000, 4096) });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
      const table = new DynamicTable();
      let model: { line: string; size: number }[] = [];
      let maxSize = 4096;
      const evict = (): void => {
        while (model.reduce((sum, { size }) => sum + size, 0) > maxSize) model.pop();
      };
      actions.forEach((step, round) => {
        if (typeof step === 'number') {
          maxSize = step;
          table.resize(step);
          evict();
        } else {
          const name = `n${round}`.padEnd(step.name, 'x');
          const value = `${round}`.padEnd(step.value % (round % 7 === 0 ? 1500 : 60), 'y');
          const bytes = Buffer.from(name + value);
          table.insert(bytes, 0, name.length, bytes, name.length, bytes.length, round % 200, 0);
          const size = name.length + value.length + 32;
          model = [{ line: `${name}: ${value}\r\n`, size }, ...model];
          if (size > maxSize) model = [];
          evict();
        }
        const lines = model.map((_, age) => {
          const slot = table.slotOf(age);
          const start = table.starts[slot] ?? 0;
          return table.bytes.toString('latin1', start, start + (table.lengths[slot] ?? 0));
        });
        expect(lines).toEqual(model.map(({ line }) => line));
        expect(table.slotOf(model.length)).toBe(-1);
      });
      expect(table.bytes.length).toBeLessThanOrEqual(16_384);
    }),
    { numRuns: 40 },
  );
});

test('EntryIndex compares the bytes of fields whose hashes are the same', () => {
  const [first, second] = collidingValues();
  const table = new DynamicTable();
  const index = new EntryIndex();
  expect(hashOfValue(7, first, 0, 8)).toBe(hashOfValue(7, second, 0, 8));
  table.insert(Buffer.from('a'), 0, 1, first, 0, 8, FIELD.unknown, 0);
  index.add(table, 7, hashOfValue(7, first, 0, 8));
  const ask = (value: Buffer): number => {
    const bytes = Buffer.concat([Buffer.from('a'), value]);
    return index.find(table, hashOfValue(7, value, 0, 8), bytes, 0, 1, 1, 9, FIELD.unknown);
  };
  expect(ask(first)).toBe(1);
  expect(ask(second)).toBe(0);
});

/** Two values of eight bytes: the second word of one makes up for the difference of the first. */
function collidingValues(): readonly [Buffer, Buffer] {
  const state = (word: number): number => {
    const hash = Math.imul(7 ^ 8 ^ word, 16_777_619);
    return hash ^ (hash >>> 13);
  };
  const [first, second] = [Buffer.alloc(8), Buffer.alloc(8)];
  first.writeInt32LE(0x31323334, 0);
  second.writeInt32LE(0x41424344, 0);
  first.writeInt32LE(0x51525354, 4);
  second.writeInt32LE(0x51525354 ^ state(0x31323334) ^ state(0x41424344), 4);
  return [first, second];
}
