import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { FieldTable } from '../h1/head.ts';
import { parseFieldLines } from '../h1/field-lines.ts';
import { isGrpcContentType } from './content-type.ts';
import { MessageScanner, SCAN } from './message-scanner.ts';
import { encodeGrpcMessage, findGrpcStatus } from './status.ts';
import { grpcTimeoutText, parseGrpcTimeout } from './timeout.ts';

test.each([
  ['application/grpc', true],
  ['application/grpc+proto', true],
  ['Application/GRPC+json', true],
  ['application/grpc;charset=utf-8', true],
  ['application/grpc-web', false],
  ['application/grpc-web+proto', false],
  ['application/grpcx', false],
  ['application/grp', false],
  ['text/plain', false],
  ['', false],
])('isGrpcContentType() of "%s" is %s', (text, wanted) => {
  const bytes = Buffer.from(`<<${text}>>`);
  expect(isGrpcContentType(bytes, 2, bytes.length - 2)).toBe(wanted);
});

test.each([
  ['1H', 3_600_000],
  ['99999999H', 359_999_996_400_000],
  ['2M', 120_000],
  ['10S', 10_000],
  ['0S', 0],
  ['250m', 250],
  ['1u', 1],
  ['2500u', 3],
  ['1n', 1],
  ['', -1],
  ['S', -1],
  ['1', -1],
  ['1s', -1],
  ['-1S', -1],
  ['+1S', -1],
  [' 1S', -1],
  ['1 S', -1],
  ['1.5S', -1],
  ['123456789S', -1],
  ['0x1S', -1],
])('parseGrpcTimeout() of "%s" is %d', (text, wanted) => {
  const bytes = Buffer.from(text);
  expect(parseGrpcTimeout(bytes, 0, bytes.length)).toBe(wanted);
});

test('grpcTimeoutText() says what parseGrpcTimeout() reads, never more', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e12, noNaN: true }), (ms) => {
      const bytes = Buffer.from(grpcTimeoutText(ms));
      const read = parseGrpcTimeout(bytes, 0, bytes.length);
      expect(read).toBeGreaterThan(0);
      expect(read).toBeLessThanOrEqual(Math.max(1, ms));
      if (ms <= 99_999_999) expect(read).toBe(Math.max(1, Math.floor(ms)));
    }),
  );
});

function message(length: number, flag = 0): Buffer {
  const bytes = Buffer.alloc(5 + length, 0xff);
  bytes[0] = flag;
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

describe('MessageScanner', () => {
  test('counts messages however their bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(40), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
        (sizes, cuts) => {
          const bytes = Buffer.concat(sizes.map((size) => message(size, size & 1)));
          const scanner = new MessageScanner();
          for (let at = 0, turn = 0; at < bytes.length; turn++) {
            const end = Math.min(bytes.length, at + (cuts[turn % cuts.length] ?? 1));
            expect(scanner.scan(bytes, at, end, 40)).toBe(SCAN.ok);
            at = end;
          }
          expect(scanner.messages).toBe(sizes.length);
          expect(scanner.isAtBoundary).toBe(true);
        },
      ),
    );
  });

  test.each([
    { why: 'a message of exactly the limit', bytes: message(10), limit: 10, want: SCAN.ok },
    { why: 'one byte more', bytes: message(11), limit: 10, want: SCAN.tooLarge },
    {
      why: 'a length that claims 4 GiB, before any of it came',
      bytes: Buffer.from([0, 255, 255, 255, 255]),
      limit: 10,
      want: SCAN.tooLarge,
    },
    { why: 'the same without a limit', bytes: Buffer.from([0, 255, 255, 255, 255]), limit: 0, want: SCAN.ok },
    {
      why: 'a second message that is too large',
      bytes: Buffer.concat([message(3), message(11)]),
      limit: 10,
      want: SCAN.tooLarge,
    },
    { why: 'reserved bits of the flag', bytes: message(3, 2), limit: 10, want: SCAN.badFlag },
    { why: 'the trailer frame of grpc-web', bytes: message(3, 0x80), limit: 10, want: SCAN.badFlag },
  ])('answers $want to $why', ({ bytes, limit, want }) => {
    expect(new MessageScanner().scan(bytes, 0, bytes.length, limit)).toBe(want);
  });

  test('is not at a boundary within a prefix or a message', () => {
    const bytes = message(10);
    for (let end = 1; end < bytes.length; end++) {
      const scanner = new MessageScanner();
      scanner.scan(bytes, 0, end, 0);
      expect(scanner.isAtBoundary).toBe(false);
    }
  });
});

test.each([
  ['grpc-status: 0\r\n\r\n', 0],
  ['x: y\r\nGrpc-Status: 16\r\n\r\n', 16],
  ['grpc-status: 7\r\ngrpc-message: no\r\n\r\n', 7],
  ['grpc-status: \r\n\r\n', -1],
  ['grpc-status: 100\r\n\r\n', -1],
  ['grpc-status: x\r\n\r\n', -1],
  ['grpc-statuz: 1\r\n\r\n', -1],
])('findGrpcStatus() of %j is %d', (lines, wanted) => {
  const bytes = Buffer.from(lines, 'latin1');
  const fields = new FieldTable();
  expect(parseFieldLines(bytes, 0, bytes.length, fields, 10, null, null)).toBe(bytes.length);
  expect(findGrpcStatus(bytes, fields)).toBe(wanted);
});

test('encodeGrpcMessage() gives back its text once it is decoded, in printable ASCII', () => {
  expect(encodeGrpcMessage('50% off\n')).toBe('50%25 off%0A');
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const encoded = encodeGrpcMessage(text);
      expect(encoded).toMatch(/^[ -~]*$/);
      expect(decodeURIComponent(encoded)).toBe(text);
    }),
  );
});
