import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { repeatedMember } from './json-members.ts';

describe('repeatedMember()', () => {
  test.each([
    { text: '{"a":1,"a":2}', want: 'a' },
    { text: '{"a":{"b":1,"c":2,"b":3}}', want: 'b' },
    { text: '{"a":[{"x":1},{"x":1,"y":{},"x":2}]}', want: 'x' },
    { text: String.raw`{"kid":1,"k\u0069d":2}`, want: 'kid' },
    { text: String.raw`{"a\"":1,"a\"":2}`, want: 'a"' },
    { text: '{"":1,"":2}', want: '' },
    { text: '{ "a" : [1, 2] , "b" : {} , "a" : null }', want: 'a' },
  ])('finds $want in $text', ({ text, want }) => {
    expect(repeatedMember(text)).toBe(want);
  });

  test.each([
    '{}',
    '{"a":"a","b":"a"}',
    '{"a":{"a":{"a":1}}}',
    '[{"a":1},{"a":1}]',
    '{"a":["a","a"],"b":[["a"]]}',
    String.raw`{"a":"\"a\":1,","b":"{\"a\":1"}`,
    '"a"',
    '1',
  ])('finds none in %s', (text) => {
    expect(repeatedMember(text)).toBeNull();
  });

  test('finds none in what JSON.stringify writes, and one as soon as one is put in', () => {
    const objects = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { minKeys: 1, maxKeys: 5 });
    fc.assert(
      fc.property(objects, fc.boolean(), (object, isSpaced) => {
        const text = JSON.stringify(object, null, isSpaced ? 2 : 0);
        expect(repeatedMember(text)).toBeNull();
        const [name = ''] = Object.keys(object);
        expect(repeatedMember(`{${JSON.stringify(name)}:0,${text.slice(1)}`)).toBe(name);
      }),
    );
  });
});
