import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { parseJson, toJson } from './json.ts';
import { areEqual, compareValues } from './value.ts';
import { parseValueText, valueText } from './value-text.ts';

describe('parseJson()', () => {
  test('reads what JSON.parse reads, and writes it back the same', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const reading = parseJson(text);
        // Random texts may have a number that only a double can hold, or a key twice.
        if (!reading.ok) {
          expect(['number', 'duplicate_key']).toContain(reading.fault);
          return;
        }
        const again = parseJson(toJson(reading.value));
        expect(again.ok && areEqual(again.value, reading.value)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('refuses what JSON.parse refuses', () => {
    const taken: string[] = [];
    fc.assert(
      fc.property(fc.json(), fc.nat(), fc.string({ maxLength: 2 }), (text, place, noise) => {
        const at = place % (text.length + 1);
        const changed = text.slice(0, at) + noise + text.slice(at + 1);
        try {
          JSON.parse(changed);
        } catch {
          if (parseJson(changed).ok) taken.push(changed);
        }
      }),
      { numRuns: 1_000 },
    );
    expect(taken).toEqual([]);
  });

  test.each([
    ['[1,]', 'syntax'],
    ['{"a":1,}', 'syntax'],
    ['01', 'number'],
    ['+1', 'number'],
    ['.5', 'number'],
    ['1.', 'number'],
    ['NaN', 'syntax'],
    ['"\u0001"', 'syntax'],
    [String.raw`"\x"`, 'syntax'],
    ['[] []', 'syntax'],
    ['{"a":1,"\\u0061":2}', 'duplicate_key'],
    ['1e401', 'number'],
    ['['.repeat(129), 'depth'],
    ['', 'syntax'],
  ])('%s: %s', (text, fault) => {
    expect(parseJson(text)).toEqual({ ok: false, fault });
  });

  test.each(['12345678901234567890', '-9007199254740993', '100000000000000000000000', '0.1', '1e-7', '250000000000000000000000'])(
    'keeps %s',
    (text) => {
      const reading = parseJson(text);
      expect(reading.ok && toJson(reading.value)).toBe(text);
    },
  );

  test('a key that JavaScript has a meaning for is a key', () => {
    const reading = parseJson('{"__proto__":{"admin":true},"constructor":1}');
    expect(reading.ok && toJson(reading.value)).toBe('{"__proto__":{"admin":true},"constructor":1}');
  });
});

test('values keep their order and their notation', () => {
  const texts = [
    'null',
    'false',
    'true',
    '-1',
    '0',
    '1.5',
    '12345678901234567890',
    '""',
    '"a"',
    '"\uE000"',
    '"😀"',
    '[]',
    '[1]',
    '[1, 2]',
    '{}',
    '{"a": 1}',
    'set()',
    '{1, [2]}',
  ];
  const values = texts.map((text) => {
    const value = parseValueText(text);
    return value === undefined ? text : value;
  });
  expect(values.map(valueText)).toEqual(texts);
  for (const [index, value] of values.entries()) {
    for (const [other, right] of values.entries()) expect(Math.sign(compareValues(value, right))).toBe(Math.sign(index - other));
  }
});
