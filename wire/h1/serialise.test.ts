import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { ChunkedDecoder } from './chunked.ts';
import { DEFAULT_HEAD_LIMITS, RequestHead } from './head.ts';
import { parseRequestHead } from './request.ts';
import { copyFields, copyTrailers, writeText } from './serialise.ts';

describe('copyFields()', () => {
  test('copies exactly the lines that are not dropped', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('A', 'Bb', 'C-c'), fc.constantFrom('', 'v', 'v w'), fc.boolean()), { maxLength: 12 }),
        (rows) => {
          const lines = rows.map(([name, value]) => `${name}: ${value} \r\n`);
          const head = parse(`GET / HTTP/1.1\r\n${lines.join('')}\r\n`);
          rows.forEach(([, , isDropped], index) => {
            head.fields.dropped[index] = isDropped ? 1 : 0;
          });
          const out = Buffer.alloc(2000);
          const end = copyFields(head, out, 3);
          expect(out.toString('latin1', 3, end)).toBe(lines.filter((_, index) => rows[index]?.[2] === false).join(''));
        },
      ),
    );
  });

  test('what was written is parsed to the same fields', () => {
    const head = parse('GET /a?b HTTP/1.1\r\nHost: a\r\nConnection: x\r\nX: y\r\n\r\n');
    head.fields.dropped[1] = 1;
    const out = Buffer.alloc(200);
    let at = writeText(out, 0, 'GET /a?b HTTP/1.1\r\n');
    at = writeText(out, copyFields(head, out, at), '\r\n');
    const again = parse(out.toString('latin1', 0, at));
    expect(again.fields.count).toBe(2);
    expect(out.toString('latin1', again.fieldsStart, again.end)).toBe('Host: a\r\nX: y\r\n\r\n');
  });
});

describe('copyTrailers()', () => {
  test('copies the trailers that are not dropped', () => {
    const decoder = new ChunkedDecoder();
    const bytes = Buffer.from('0\r\nA: b\r\nHost: c\r\nD: e\r\n\r\n');
    for (let at = 0; at < bytes.length;) at = decoder.next(bytes, at, bytes.length);
    const { trailers } = decoder;
    expect(trailers).not.toBeNull();
    if (trailers === null) return;
    trailers.fields.dropped[1] = 1;
    const out = Buffer.alloc(100);
    expect(out.toString('latin1', 0, copyTrailers(trailers, out, 0))).toBe('A: b\r\nD: e\r\n');
  });
});

describe('writeText()', () => {
  test.each([0, 1, 48, 49, 300])('writes %i characters, one byte each', (length) => {
    const text = '\xe4'.repeat(length);
    const out = Buffer.alloc(400);
    expect(writeText(out, 5, text)).toBe(5 + length);
    expect(out.toString('latin1', 5, 5 + length)).toBe(text);
  });
});

function parse(text: string): RequestHead {
  const bytes = Buffer.from(text, 'latin1');
  const head = new RequestHead();
  expect(parseRequestHead(bytes, 0, bytes.length, head, DEFAULT_HEAD_LIMITS)).toBe(bytes.length);
  return head;
}
