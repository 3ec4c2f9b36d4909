import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { DEFAULT_HEAD_LIMITS, FRAMING, RequestHead, ResponseHead, type MessageHead } from '../h1/head.ts';
import { parseRequestHead } from '../h1/request.ts';
import { parseResponseHead } from '../h1/response.ts';
import { HeadReader, requestHead, responseHead, trailers } from './head-reader.ts';
import { HeadWriter } from './head-writer.ts';
import { DEFAULT_H2_LIMITS } from './limits.ts';

type Fields = readonly (readonly [name: string, value: string])[];

const NAME = fc.constantFrom(
  'Accept',
  'x-a',
  'X-B',
  'te',
  'Cookie',
  'authorization',
  'x_u',
  'Connection',
  'user-agent',
  'grpc-timeout',
);
const VALUE = fc.oneof(
  fc.constantFrom('', 'v', 'trailers', 'a, b', 'x'.repeat(120)),
  fc.stringMatching(/^[!-~]([ -~]{0,30}[!-~])?$/),
);
const FIELDS = fc.array(fc.tuple(NAME, VALUE, fc.boolean()), { maxLength: 8 });

describe('heads written by HeadWriter', () => {
  test('are read by HeadReader as they were, in whatever order they repeat', () => {
    const heads = fc.array(
      fc.record({
        method: fc.constantFrom('GET', 'POST', 'DELETE', 'OPTIONS'),
        path: fc.constantFrom('/', '/orders/17', '/a?b=c', `/${'p'.repeat(90)}`),
        rewritten: fc.constantFrom('', '', '/rewritten'),
        fields: FIELDS,
        length: fc.constantFrom(null, 0, 17, 1e12),
        scheme: fc.constantFrom('http' as const, 'https' as const),
      }),
      { minLength: 1, maxLength: 4 },
    );
    const order = fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(heads, order, (cases, picks) => {
        const writer = new HeadWriter();
        const reader = new HeadReader(DEFAULT_H2_LIMITS);
        for (const pick of picks) {
          const { fields, length, method, path, rewritten, scheme } = cases[pick % cases.length] ?? raise();
          const lengthLine = length === null ? '' : `Content-Length: ${length}\r\n`;
          const head = new RequestHead();
          const text = `${method} ${path} HTTP/1.1\r\nHost: app.test\r\n${linesOf(fields)}${lengthLine}\r\n`;
          expect(parseRequestHead(Buffer.from(text, 'latin1'), 0, text.length, head, DEFAULT_HEAD_LIMITS)).toBeGreaterThan(0);
          drop(head, fields, 1);
          writer.begin();
          writer.request(head, rewritten, scheme, '');
          writer.lines(Buffer.from('x-added: 1\r\nx-for: a: b\r\n'), 0, 25);
          const { end, out } = writer.encoder;
          expect(reader.request(out, 0, end, length === 0)).toBeNull();
          expect(requestHead.method).toBe(method);
          expect(textOf(requestHead, requestHead.targetStart, requestHead.targetEnd)).toBe(rewritten === '' ? path : rewritten);
          const [host, ...rest] = fieldsOf(requestHead);
          expect(host).toEqual(['host', 'app.test']);
          expect(sorted(rest)).toEqual(sorted([...kept(fields), ...lengthField(length), ['x-added', '1'], ['x-for', 'a: b']]));
          expect(requestHead.framing).toBe(length === null ? FRAMING.chunked : FRAMING.length);
          expect(requestHead.contentLength).toBe(length ?? 0);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('of responses too, with every status', () => {
    const heads = fc.array(
      fc.record({ status: fc.integer({ min: 200, max: 599 }), fields: FIELDS, length: fc.constantFrom(null, 5) }),
      {
        minLength: 1,
        maxLength: 3,
      },
    );
    fc.assert(
      fc.property(heads, fc.array(fc.nat({ max: 2 }), { minLength: 1, maxLength: 12 }), (cases, picks) => {
        const writer = new HeadWriter();
        const reader = new HeadReader(DEFAULT_H2_LIMITS);
        for (const pick of picks) {
          const { fields, length, status } = cases[pick % cases.length] ?? raise();
          const framing = length === null ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${length}\r\n`;
          const text = `HTTP/1.1 ${status} Reason\r\n${framing}${linesOf(fields)}\r\n`;
          const head = new ResponseHead();
          expect(
            parseResponseHead(Buffer.from(text, 'latin1'), 0, text.length, head, DEFAULT_HEAD_LIMITS, 'GET'),
          ).toBeGreaterThan(0);
          drop(head, fields, 1);
          head.fields.dropped[0] = 1;
          writer.begin();
          writer.response(head);
          expect(reader.response(writer.encoder.out, 0, writer.encoder.end, false, 'GET')).toBeNull();
          const isBodiless = status === 204 || status === 304;
          expect(responseHead.status).toBe(status);
          expect(textOf(responseHead, responseHead.start, responseHead.fieldsStart)).toBe(`HTTP/1.1 ${status} \r\n`);
          expect(sorted(fieldsOf(responseHead))).toEqual(
            sorted([...kept(fields, false), ...lengthField(isBodiless ? null : length)]),
          );
        }
      }),
      { numRuns: 200 },
    );
  });

  test('are not taken from the memo when other fields of them are dropped, or the table has changed', () => {
    const writer = new HeadWriter();
    const reader = new HeadReader(DEFAULT_H2_LIMITS);
    const head = new ResponseHead();
    const text = 'HTTP/1.1 200 OK\r\nserver: a\r\nx-b: c\r\ncontent-length: 3\r\n\r\n';
    parseResponseHead(Buffer.from(text), 0, text.length, head, DEFAULT_HEAD_LIMITS, 'GET');
    head.fields.dropped[2] = 1;
    for (let round = 0; round < 40; round++) {
      head.fields.dropped[1] = round % 8 < 5 ? 0 : 1;
      writer.begin();
      writer.response(head);
      const wanted = [['server', 'a'], ...(round % 8 < 5 ? [['x-b', 'c']] : []), ['content-length', '3']];
      expect(reader.response(writer.encoder.out, 0, writer.encoder.end, false, 'GET')).toBeNull();
      expect(fieldsOf(responseHead)).toEqual(wanted);
      if (round % 3 !== 2) continue;
      writer.begin();
      writer.status(200);
      writer.text(`x-${round}`, 'new');
      expect(reader.response(writer.encoder.out, 0, writer.encoder.end, false, 'GET')).toBeNull();
      expect(fieldsOf(responseHead)).toEqual([[`x-${round}`, 'new']]);
    }
  });

  test('are not taken from the memo for another framing', () => {
    const writer = new HeadWriter();
    const reader = new HeadReader(DEFAULT_H2_LIMITS);
    const text = 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\nserver: a\r\n\r\n';
    for (let round = 0; round < 12; round++) {
      const method = round % 4 === 3 ? 'HEAD' : 'GET';
      const head = new ResponseHead();
      parseResponseHead(Buffer.from(text), 0, text.length, head, DEFAULT_HEAD_LIMITS, method);
      head.fields.dropped[0] = 1;
      writer.begin();
      writer.response(head);
      expect(reader.response(writer.encoder.out, 0, writer.encoder.end, false, method)).toBeNull();
      expect(fieldsOf(responseHead)).toHaveLength(method === 'HEAD' ? 1 : 2);
    }
  });

  test('as extended CONNECT name their protocol', () => {
    const head = new RequestHead();
    const text =
      'GET /chat HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n';
    parseRequestHead(Buffer.from(text), 0, text.length, head, DEFAULT_HEAD_LIMITS);
    const writer = new HeadWriter();
    writer.begin();
    writer.request(head, '', 'https', 'websocket');
    const reader = new HeadReader(DEFAULT_H2_LIMITS);
    expect(reader.request(writer.encoder.out, 0, writer.encoder.end, false)).toBeNull();
    expect(reader.protocol).toBe('websocket');
    expect(requestHead.method).toBe('GET');
    expect(fieldsOf(requestHead)).toEqual([
      ['host', 'app.test'],
      ['sec-websocket-version', '13'],
    ]);
  });

  test('in text or as trailers say the same', () => {
    const writer = new HeadWriter();
    const reader = new HeadReader(DEFAULT_H2_LIMITS);
    for (let round = 0; round < 3; round++) {
      writer.begin();
      writer.text('grpc-status', '7');
      writer.text('grpc-message', 'no');
      const { end, out } = writer.encoder;
      expect(reader.trailers(out, 0, end)).toBeNull();
      const { bytes, fields } = trailers;
      expect(bytes.toString('latin1', 0, trailers.end - 2)).toBe('grpc-status: 7\r\ngrpc-message: no\r\n');
      expect([...fields.ranges.subarray(0, 8)]).toEqual([0, 11, 13, 14, 16, 28, 30, 32]);
    }
  });
});

function linesOf(fields: readonly (readonly [name: string, value: string, isDropped: boolean])[]): string {
  return fields
    .map(([name, value]) => `${name}: ${name === 'te' ? 'trailers' : name === 'Connection' ? 'close' : value}\r\n`)
    .join('');
}

function drop(head: MessageHead, fields: readonly (readonly [string, string, boolean])[], first: number): void {
  fields.forEach(([, , isDropped], index) => (head.fields.dropped[index + first] = isDropped ? 1 : 0));
  // Content-Length is written anew from the framing.
  for (let index = 0; index < head.fields.count; index++) if (head.fields.ids[index] === 3) head.fields.dropped[index] = 1;
}

/** What of the fields is left: none of the connection's, and of a request the cookies in one. */
function kept(fields: readonly (readonly [string, string, boolean])[], joinsCookies = true): Fields {
  const left = fields
    .filter(([name, , isDropped]) => !isDropped && name !== 'Connection')
    .map(([name, value]) => [name.toLowerCase(), name === 'te' ? 'trailers' : value] as const);
  const cookies = left.filter(([name]) => name === 'cookie').map(([, value]) => value);
  if (!joinsCookies || cookies.length === 0) return left;
  return [...left.filter(([name]) => name !== 'cookie'), ['cookie', cookies.filter((crumb) => crumb !== '').join('; ')]];
}

function lengthField(length: number | null): Fields {
  return length === null ? [] : [['content-length', String(length)]];
}

function fieldsOf({ bytes, fields }: MessageHead): Fields {
  return Array.from({ length: fields.count }, (_, index) => {
    const [start = 0, end = 0, valueStart = 0, valueEnd = 0] = fields.ranges.subarray(4 * index, 4 * index + 4);
    return [bytes.toString('latin1', start, end), bytes.toString('latin1', valueStart, valueEnd)];
  });
}

function sorted(fields: Fields): readonly string[] {
  return fields.map(([name, value]) => `${name}: ${value}`).toSorted();
}

function textOf({ bytes }: MessageHead, start: number, end: number): string {
  return bytes.toString('latin1', start, end);
}

function raise(): never {
  throw new RangeError('Cannot pick a case');
}
