import { describe, expect, test } from 'vitest';

import { DEFAULT_HEAD_LIMITS, FRAMING, ResponseHead, wireFault } from './head.ts';
import { parseResponseHead } from './response.ts';

const OK = 'HTTP/1.1 200 OK\r\n';

describe('parseResponseHead()', () => {
  test.each([
    { why: 'until close without a length', text: `${OK}\r\n`, want: { framing: FRAMING.untilClose, isPersistent: false } },
    {
      why: 'a length',
      text: `${OK}Content-Length: 7\r\n\r\n`,
      want: { framing: FRAMING.length, contentLength: 7, isPersistent: true },
    },
    { why: 'a length of 0', text: `${OK}Content-Length: 0\r\n\r\n`, want: { framing: FRAMING.length, contentLength: 0 } },
    { why: 'chunks', text: `${OK}Transfer-Encoding: chunked\r\n\r\n`, want: { framing: FRAMING.chunked } },
    { why: 'nothing for 204', text: 'HTTP/1.1 204 No Content\r\n\r\n', want: { framing: FRAMING.none, isPersistent: true } },
    {
      why: 'nothing for 304',
      text: 'HTTP/1.1 304 \r\nContent-Length: 9\r\n\r\n',
      want: { framing: FRAMING.none, contentLength: 0 },
    },
    { why: 'nothing for 100', text: 'HTTP/1.1 100 Continue\r\n\r\n', want: { framing: FRAMING.none, isPersistent: true } },
    {
      why: 'nothing for 101',
      text: 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
      want: { framing: FRAMING.none, hasUpgrade: true },
    },
    { why: 'a status without a reason', text: 'HTTP/1.1 200\r\nContent-Length: 1\r\n\r\n', want: { status: 200 } },
    { why: 'an obs-text reason', text: 'HTTP/1.1 500 Ori\xebnt\r\nContent-Length: 0\r\n\r\n', want: { status: 500 } },
    { why: 'HTTP/1.0', text: 'HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n', want: { minor: 0, isPersistent: false } },
  ])('frames $why', ({ text, want }) => {
    const { head, result } = parse(text, 'GET');
    expect(result).toBe(Buffer.byteLength(text, 'latin1'));
    expect(head).toMatchObject(want);
  });

  test.each([
    { method: 'HEAD', status: 200, framing: FRAMING.none },
    { method: 'HEAD', status: 404, framing: FRAMING.none },
    { method: 'CONNECT', status: 200, framing: FRAMING.none },
    { method: 'CONNECT', status: 403, framing: FRAMING.length },
    { method: 'GET', status: 200, framing: FRAMING.length },
  ])('a $status to $method', ({ method, status, framing }) => {
    expect(parse(`HTTP/1.1 ${status} x\r\nContent-Length: 9\r\n\r\n`, method).head.framing).toBe(framing);
  });

  test.each([
    ['status', 'HTTP/1.1 099 x\r\n\r\n'],
    ['status', 'HTTP/1.1 600 x\r\n\r\n'],
    ['status', 'HTTP/1.1 999 x\r\n\r\n'],
    ['status', 'HTTP/1.1 20 x\r\n\r\n'],
    ['status', 'HTTP/1.1 2000 x\r\n\r\n'],
    ['status', 'HTTP/1.1  200 x\r\n\r\n'],
    ['status', 'HTTP/1.0 100 x\r\n\r\n'],
    ['status', 'HTTP/1.1 103 x\r\nConnection: close\r\n\r\n'],
    ['framing_conflict', 'HTTP/1.1 103 x\r\nContent-Length: 4\r\n\r\n'],
    ['framing_conflict', 'HTTP/1.1 103 x\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['start_line', 'HTTP/1.1\t200 OK\r\n\r\n'],
    ['start_line', 'HTP/1.1 200 OK\r\n\r\n'],
    ['start_line', '\r\nHTTP/1.1 200 OK\r\n\r\n'],
    ['start_line', 'HTTP/1.1 200 O\0K\r\n\r\n'],
    ['version', 'HTTP/2.0 200 OK\r\n\r\n'],
    ['version', 'HTTP/0.9 200 OK\r\n\r\n'],
    ['line_end', 'HTTP/1.1 200 OK\n\r\n'],
    ['line_end', 'HTTP/1.1 200 OK\rX: y\r\n\r\n'],
    ['framing_conflict', `${OK}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`],
    ['framing_conflict', `${OK}Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n`],
    ['content_length', `${OK}Content-Length: 1\r\nContent-Length: 1\r\n\r\n`],
    ['transfer_coding', `${OK}Transfer-Encoding: identity\r\n\r\n`],
    ['transfer_coding', `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`],
    ['transfer_encoding', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['line_folding', `${OK}A: b\r\n c\r\n\r\n`],
    ['field_value', `${OK}A: b\0c\r\n\r\n`],
    ['field_whitespace', `${OK}A : b\r\n\r\n`],
    ['head_too_large', `${OK}A: ${'b'.repeat(100_000)}\r\n\r\n`],
    ['too_many_fields', `${OK}${'A: b\r\n'.repeat(3000)}\r\n`],
  ])('refuses as %s: %j', (code, text) => {
    const { result } = parse(text, 'GET');
    expect(result).toBeLessThan(0);
    expect(wireFault(result)).toBe(code);
  });

  test('asks for more until the head is whole', () => {
    const text = `${OK}Content-Length: 3\r\n\r\n`;
    for (let end = 0; end < text.length; end++) expect(parse(text.slice(0, end), 'GET').result).toBe(0);
  });
});

function parse(text: string, method: string): { head: ResponseHead; result: number } {
  const bytes = Buffer.from(text, 'latin1');
  const head = new ResponseHead();
  return { head, result: parseResponseHead(bytes, 0, bytes.length, head, DEFAULT_HEAD_LIMITS, method) };
}
