import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { DEFAULT_HEAD_LIMITS, FIELD, FRAMING, RequestHead, wireFault } from './head.ts';
import { parseRequestHead } from './request.ts';

const LINE = 'GET /x HTTP/1.1\r\n';

describe('parseRequestHead()', () => {
  test('reads method, target, version and fields as ranges of the bytes', () => {
    const text = `POST /a?b HTTP/1.1\r\nHost: app.test\r\nX_y:  v \t\r\nEmpty:\r\n\r\nrest`;
    const { head, result } = parse(`junk${text}`, 4);
    expect(result).toBe(4 + text.length - 4);
    expect(head).toMatchObject({ method: 'POST', minor: 1, start: 4, end: result, framing: FRAMING.none, isPersistent: true });
    expect(slice(head, head.targetStart, head.targetEnd)).toBe('/a?b');
    expect(fieldsOf(head)).toEqual([
      ['Host', 'app.test'],
      ['X_y', 'v'],
      ['Empty', ''],
    ]);
    expect(head.fields.hasUnderscore).toBe(true);
    expect(head).toMatchObject({ hostIndex: 0, hostCount: 1 });
  });

  test.each([
    { why: 'no fields', text: `${LINE}\r\n`, want: { framing: FRAMING.none, isPersistent: true, hostIndex: -1, hostCount: 0 } },
    { why: 'a length', text: `${LINE}Content-Length: 42\r\n\r\n`, want: { framing: FRAMING.length, contentLength: 42 } },
    { why: 'a length of 0', text: `${LINE}Content-Length: 0\r\n\r\n`, want: { framing: FRAMING.length, contentLength: 0 } },
    {
      why: 'the longest length',
      text: `${LINE}Content-Length: 999999999999999\r\n\r\n`,
      want: { framing: FRAMING.length, contentLength: 999_999_999_999_999 },
    },
    { why: 'chunks', text: `${LINE}transfer-encoding: Chunked\r\n\r\n`, want: { framing: FRAMING.chunked, contentLength: 0 } },
    { why: 'close', text: `${LINE}Connection: close\r\n\r\n`, want: { isPersistent: false, hasConnectionOptions: false } },
    {
      why: 'close in a list',
      text: `${LINE}Connection: x, Close\r\n\r\n`,
      want: { isPersistent: false, hasConnectionOptions: true },
    },
    { why: 'close and keep-alive', text: `${LINE}Connection: keep-alive, close\r\n\r\n`, want: { isPersistent: false } },
    {
      why: 'keep-alive',
      text: `${LINE}Connection: keep-alive\r\n\r\n`,
      want: { isPersistent: true, hasConnectionOptions: false },
    },
    { why: 'HTTP/1.0', text: 'GET / HTTP/1.0\r\n\r\n', want: { minor: 0, isPersistent: false } },
    { why: 'HTTP/1.0 kept alive', text: 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', want: { isPersistent: true } },
    {
      why: 'HTTP/1.0 with close in another field',
      text: 'GET / HTTP/1.0\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n',
      want: { isPersistent: false },
    },
    { why: 'an upgrade', text: `${LINE}Connection: Upgrade\r\nUpgrade: x\r\n\r\n`, want: { hasUpgrade: true } },
    { why: 'an expectation', text: `${LINE}Expect: 100-Continue\r\n\r\n`, want: { expectsContinue: true } },
    {
      why: 'an expectation of HTTP/1.0',
      text: 'GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n',
      want: { expectsContinue: false },
    },
    { why: 'two Host fields', text: `${LINE}Host: a\r\nHost: b\r\n\r\n`, want: { hostIndex: 0, hostCount: 2 } },
    { why: 'empty lines first', text: `\r\n\r\n${LINE}\r\n`, want: { start: 4 } },
    { why: 'a method that is not common', text: 'M-SEARCH * HTTP/1.1\r\n\r\n', want: { method: 'M-SEARCH' } },
    { why: 'a method as long as a common one', text: 'MKCOL / HTTP/1.1\r\n\r\n', want: { method: 'MKCOL' } },
  ])('takes $why', ({ text, want }) => {
    const { head, result } = parse(text);
    expect(result).toBe(text.length);
    expect(head).toMatchObject(want);
  });

  test('forgets what the head before said', () => {
    const head = new RequestHead();
    const first = Buffer.from(
      `${LINE}Host: a\r\nContent-Length: 5\r\nUpgrade: x\r\nExpect: 100-continue\r\nConnection: close, x\r\na_b: c\r\n\r\n`,
    );
    const second = Buffer.from(`${LINE}\r\n`);
    parseRequestHead(first, 0, first.length, head, DEFAULT_HEAD_LIMITS);
    head.fields.dropped[0] = 1;
    parseRequestHead(second, 0, second.length, head, DEFAULT_HEAD_LIMITS);
    expect(head).toMatchObject({
      framing: FRAMING.none,
      contentLength: 0,
      hasUpgrade: false,
      expectsContinue: false,
      hostIndex: -1,
    });
    expect(head).toMatchObject({ hostCount: 0, isPersistent: true, hasConnectionOptions: false });
    expect(head.fields).toMatchObject({ count: 0, hasUnderscore: false });
  });

  test.each([
    ['GET', 'method', 'get / HTTP/1.1\r\n\r\n'],
    ['no method', 'method', ' / HTTP/1.1\r\n\r\n'],
    ['a method that nobody knows', 'method', 'BREW /pot HTTP/1.1\r\n\r\n'],
    ['HTTP/0.9', 'start_line', 'GET /\r\n'],
    ['HTTP/1.2', 'version', 'GET / HTTP/1.2\r\n\r\n'],
    ['HTTP/2.0', 'version', 'GET / HTTP/2.0\r\n\r\n'],
    ['a version that is none', 'start_line', 'GET / HTTX/1.1\r\n\r\n'],
    ['a byte beyond ASCII in the target', 'target', 'GET /\xe4 HTTP/1.1\r\n\r\n'],
    ['two framings', 'framing_conflict', `${LINE}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`],
    ['two lengths', 'content_length', `${LINE}Content-Length: 1\r\nContent-Length: 1\r\n\r\n`],
    ['a coding that is not served', 'transfer_coding', `${LINE}Transfer-Encoding: gzip, chunked\r\n\r\n`],
    ['a coding that is none', 'transfer_encoding', `${LINE}Transfer-Encoding: ,chunked\r\n\r\n`],
    ['chunks in HTTP/1.0', 'transfer_encoding', 'GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['another expectation', 'expectation', `${LINE}Expect: x\r\n\r\n`],
    ['a Connection that is no list', 'connection_option', `${LINE}Connection: a b\r\n\r\n`],
    ['a folded line', 'line_folding', `${LINE}A: b\r\n c\r\n\r\n`],
    ['a blank before the first field', 'field_whitespace', `${LINE} A: b\r\n\r\n`],
    ['a blank before the colon', 'field_whitespace', `${LINE}A : b\r\n\r\n`],
    ['a bare line feed', 'line_end', `${LINE}A: b\n\r\n`],
    ['a bare carriage return', 'line_end', `${LINE}A: b\rc\r\n\r\n`],
    ['a NUL', 'field_value', `${LINE}A: b\0\r\n\r\n`],
    ['no colon', 'field_name', `${LINE}A\r\n\r\n`],
  ])('refuses %s as %s', (_why, code, text) => {
    expect(faultOf(text)).toBe(code);
  });

  test.each([
    ['a second length', `${LINE}Content-Length: 1\r\nContent-Length:`],
    ['a second framing', `${LINE}Transfer-Encoding: chunked\r\nContent-Length:`],
    ['a length that is none', `${LINE}Content-Length: 1x`],
    ['a length that is too long', `${LINE}Content-Length: ${'1'.repeat(16)}`],
    ['a method', `MKCOLA `],
    ['a version', `GET / HTTP/2.0`],
    ['a line feed', `GET / HTTP/1.1\n`],
  ])('refuses %s with the first byte that shows it', (_why, text) => {
    expect(parse(text.slice(0, -1)).result).toBe(0);
    expect(parse(text).result).toBeLessThan(0);
  });

  test('bounds the bytes of a head, not those after it', () => {
    const head = `${LINE}A: ${'b'.repeat(70)}\r\n\r\n`;
    const limits = { headBytes: head.length, fields: 100 };
    expect(parse(`${head}${'x'.repeat(1000)}`, 0, limits).result).toBe(head.length);
    expect(faultOf(head, { headBytes: head.length - 1, fields: 100 })).toBe('head_too_large');
    expect(faultOf('A'.repeat(head.length), limits)).toBe('head_too_large');
    expect(parse('GET /'.padEnd(head.length - 1, 'a'), 0, limits).result).toBe(0);
  });

  test('bounds the number of fields', () => {
    const text = `${LINE}${'A: b\r\n'.repeat(3)}\r\n`;
    expect(parse(text, 0, { headBytes: 1000, fields: 3 }).result).toBe(text.length);
    expect(faultOf(text, { headBytes: 1000, fields: 2 })).toBe('too_many_fields');
  });

  test('looks at no byte behind `end`', () => {
    const bytes = Buffer.from(`${LINE}Host: a\r\n\r\n`);
    for (let end = 0; end < bytes.length; end++) {
      expect(parseRequestHead(bytes, 0, end, new RequestHead(), DEFAULT_HEAD_LIMITS)).toBe(0);
    }
  });

  test('reads every well-formed head back as it was written', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('GET', 'PUT', 'QUERY'),
        fc.array(fc.tuple(token(), value()), { maxLength: 20 }),
        fc.constantFrom('', ' ', '\t ', '  '),
        (method, fields, blank) => {
          const lines = fields.map(([name, text]) => `${name}:${blank}${text}${blank}\r\n`).join('');
          const { head, result } = parse(`${method} /x HTTP/1.1\r\n${lines}\r\n`);
          expect(result).toBeGreaterThan(0);
          expect(head.method).toBe(method);
          expect(fieldsOf(head)).toEqual(fields);
        },
      ),
    );
  });

  test('knows the fields that the data path acts on in any case', () => {
    const { head } = parse(`${LINE}X-FORWARDED-client-cert: a\r\nx-postern-reason: b\r\nX-Other: c\r\n\r\n`);
    expect(Array.from(head.fields.ids.subarray(0, 3))).toEqual([FIELD.xForwardedClientCert, FIELD.xPosternReason, FIELD.unknown]);
  });
});

function parse(text: string, start = 0, limits = DEFAULT_HEAD_LIMITS): { head: RequestHead; result: number } {
  const bytes = Buffer.from(text, 'latin1');
  const head = new RequestHead();
  return { head, result: parseRequestHead(bytes, start, bytes.length, head, limits) };
}

function faultOf(text: string, limits = DEFAULT_HEAD_LIMITS): string {
  const { result } = parse(text, 0, limits);
  return result < 0 ? wireFault(result) : `taken: ${result}`;
}

function slice(head: RequestHead, start: number, end: number): string {
  return head.bytes.toString('latin1', start, end);
}

function fieldsOf(head: RequestHead): [string, string][] {
  const { count, ranges } = head.fields;
  return Array.from({ length: count }, (_, index) => {
    const [nameStart = 0, nameEnd = 0, valueStart = 0, valueEnd = 0] = ranges.subarray(4 * index, 4 * index + 4);
    return [slice(head, nameStart, nameEnd), slice(head, valueStart, valueEnd)];
  });
}

/** Names that frame nothing: the prefix keeps them apart from those that do. */
function token(): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom(..."abcXYZ019!#$%&'*+-.^_`|~"), maxLength: 20 }).map((text) => `z${text}`);
}

function value(): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom(...'abc ,;"\t\xe4\xff~!', '\\'), maxLength: 30 }).map((text) => text.trim());
}
