import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';

import { lastCount, lastRun, readProto, runs } from './read.ts';
import { ProtoWriter } from './write.ts';

const { root } = protobuf.parse(`syntax = "proto3";
message Inner { string text = 1; int64 size = 9; }
message Outer { string text = 1; bytes raw = 12; uint64 count = 2; repeated Inner inner = 3; int64 size = 9; }`);
const OUTER = root.lookupType('Outer');

describe('ProtoWriter', () => {
  test('writes what protobufjs reads', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        fc.uint8Array({ maxLength: 300 }),
        fc.maxSafeNat(),
        fc.array(fc.string({ maxLength: 200 }), { maxLength: 4 }),
        (text, raw, count, inner) => {
          const writer = new ProtoWriter().text(1, text).count(2, count).bytes(12, Buffer.from(raw));
          for (const one of inner) writer.message(3, new ProtoWriter().text(1, one));
          const read = OUTER.toObject(OUTER.decode(writer.finish()), { longs: Number, defaults: true });
          expect(read).toMatchObject({ text, count, inner: inner.map((one) => ({ text: one })) });
          expect(Buffer.from(read['raw'] as Uint8Array)).toEqual(Buffer.from(raw)); // bytes are read as bytes
        },
      ),
    );
  });
});

describe('readProto()', () => {
  test('reads what protobufjs writes', () => {
    const bytes = Buffer.from(OUTER.encode({ text: 'é', count: 300, inner: [{ text: 'a' }, { text: 'b' }], size: -1 }).finish());
    const fields = readProto(bytes) ?? [];
    expect(lastRun(fields, 1)?.toString('utf8')).toBe('é');
    expect(lastCount(fields, 2)).toBe(300);
    expect(runs(fields, 3).map((run) => lastRun(readProto(run) ?? [], 1)?.toString())).toEqual(['a', 'b']);
    expect(lastCount(fields, 9)).toBe(Infinity);
    expect(lastRun(fields, 99)).toBeNull();
    expect(lastCount(fields, 99)).toBe(0);
  });

  test.each([
    ['a key that never ends', 'ffffffffffffffffffffff'],
    ['a key that is cut off', '80'],
    ['field zero', '0001'],
    ['a group', '0b0c'],
    ['a wire type that there is none of', '0e'],
    ['a length beyond the end', '0a05ff'],
    ['a length of 2^64', '0affffffffffffffffff01'],
    ['a fixed number that is cut off', '09000000'],
    ['a key beyond 32 bits', '80808080801001'],
  ])('takes %s for no message', (_, hex) => {
    expect(readProto(Buffer.from(hex, 'hex'))).toBeNull();
  });

  test('never throws, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const fields = readProto(Buffer.from(bytes));
        expect(fields === null || Array.isArray(fields)).toBe(true);
      }),
    );
  });
});
