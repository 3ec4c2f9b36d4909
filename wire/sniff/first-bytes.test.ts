import fc from 'fast-check';
import { expect, test } from 'vitest';

import { FIRST_LINE_MAX, readFirstBytes, readPreface } from './first-bytes.ts';

function read(text: string | Buffer): string {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text;
  return readFirstBytes(bytes, 0, bytes.length);
}

test.each([
  { what: 'nothing', text: '', want: 'more' },
  { what: 'a TLS handshake record', text: '\x16\x03\x01\x02\x00\x01\x00', want: 'tls' },
  { what: 'the first byte of TLS', text: '\x16', want: 'more' },
  { what: 'a handshake record that holds no ClientHello', text: '\x16\x03\x01\x02\x00\x02', want: 'raw' },
  { what: 'a TLS alert', text: '\x15\x03\x01\x00\x02\x01\x00', want: 'raw' },
  { what: 'a record of no version of TLS', text: '\x16\x02', want: 'raw' },
  { what: 'the preface of HTTP/2', text: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0', want: 'http2' },
  { what: 'half of the preface', text: 'PRI * HTTP/2.0\r\n', want: 'more' },
  { what: 'a preface that breaks off', text: 'PRI * HTTP/2.0\r\n\r\nXX', want: 'http1' },
  { what: 'one letter of many', text: 'P', want: 'more' },
  { what: 'PROXY version 1', text: 'PROXY TCP4 ', want: 'proxy' },
  { what: 'PROXY version 2', text: '\r\n\r\n\0\r\nQUIT\n!\x11', want: 'proxy' },
  { what: 'half of the signature of PROXY version 2', text: '\r\n\r\n\0\r', want: 'more' },
  { what: 'a usual request', text: 'GET / HTTP/1.1\r\n', want: 'http1' },
  { what: 'a usual method and a blank', text: 'DELETE ', want: 'http1' },
  { what: 'a request of HTTP/0.9', text: 'GET /\r\n', want: 'http1' },
  { what: 'an unusual method before its version is there', text: 'PURGE /x HTT', want: 'more' },
  { what: 'an unusual method', text: 'PURGE /x HTTP/1.1\r\n', want: 'http1' },
  { what: 'a method in lower case', text: 'get /x http/1.1\r\n', want: 'http1' },
  { what: 'a method behind empty lines', text: '\r\n\r\nGET /', want: 'http1' },
  { what: 'a method behind blanks', text: ' \tGET /', want: 'http1' },
  { what: 'very many empty lines', text: '\r\n'.repeat(40), want: 'http1' },
  { what: 'a tab for the blank', text: 'FOO\t/x\tHTTP/1.1', want: 'http1' },
  { what: 'bytes beyond ASCII in the target', text: 'FOO /\xff HTTP/1.1', want: 'http1' },
  { what: 'a first line without an end', text: `FOO /${'a'.repeat(FIRST_LINE_MAX)}`, want: 'http1' },
  { what: 'Redis', text: '*1\r\n$4\r\nPING\r\n', want: 'raw' },
  { what: 'memcached', text: 'get key\r\n', want: 'raw' },
  { what: 'a start packet of PostgreSQL', text: '\0\0\0\x08\x04\xd2\x16\x2f', want: 'raw' },
  { what: 'a message of MongoDB', text: 'A\x01\0\0', want: 'raw' },
  { what: 'SSH', text: 'SSH-2.0-OpenSSH_9.2\r\n', want: 'raw' },
  { what: 'MQTT', text: '\x10\x0c\0\x04MQTT', want: 'raw' },
  { what: 'a word and a NUL', text: 'PUB a\0b HTTP/1.1', want: 'raw' },
  { what: 'a long word', text: `${'A'.repeat(65)} / HTTP/1.1`, want: 'http1' },
  { what: 'a method with a mark in it', text: 'GE@T /x HTTP/1.1', want: 'http1' },
  { what: 'a method with a mark in it, so far', text: 'GE@T /x', want: 'more' },
  { what: 'a method beyond ASCII', text: 'G\xcbT /x HTTP/1.1', want: 'http1' },
  { what: 'a usual method and a NUL', text: 'GET\0 /x HTTP/1.1', want: 'http1' },
  { what: 'a response', text: 'HTTP/1.1 200 OK', want: 'http1' },
  { what: 'a request of Icecast', text: 'SOURCE /x ICE/1.0', want: 'http1' },
])('readFirstBytes() says $want of $what', ({ text, want }) => {
  expect(read(text)).toBe(want);
});

test('readFirstBytes() does not change its mind when more comes', () => {
  const starts = [
    '\x16\x03\x01\x01\x00\x01',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'PROXY ',
    '\r\n\r\n\0\r\nQUIT\n',
    'GET / HTTP/1.1\r\n',
  ];
  const anyBytes = fc.oneof(
    fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
    fc
      .tuple(fc.constantFrom(...starts), fc.nat(30), fc.string({ unit: 'binary', maxLength: 40 }))
      .map(([start, cut, rest]) => Buffer.from(start.slice(0, cut) + rest, 'latin1')),
    fc.string({ unit: 'grapheme-ascii', maxLength: 60 }).map((text) => Buffer.from(text, 'latin1')),
  );
  const isSteady = fc.check(
    fc.property(anyBytes, (bytes) => {
      let decided = 'more';
      for (let end = 0; end <= bytes.length; end++) {
        const found = readFirstBytes(bytes, 0, end);
        if (decided !== 'more' && found !== decided) return false;
        decided = found;
      }
      return true;
    }),
    { numRuns: 3000 },
  );
  expect(isSteady).toMatchObject({ failed: false });
});

test('readPreface() knows whole, part and other', () => {
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
  for (let end = 0; end < preface.length; end++) expect(readPreface(preface, 0, end)).toBe('part');
  expect(readPreface(preface, 0, preface.length)).toBe('whole');
  expect(readPreface(Buffer.from('PRINT'), 0, 5)).toBe('other');
});
