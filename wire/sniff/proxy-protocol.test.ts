import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { vectorsDir } from '#test/support/vectors.ts';
import { crc32c } from './crc32c.ts';
import { readProxyHeader } from './proxy-protocol.ts';

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const IPV4 = Buffer.from([203, 0, 113, 9, 10, 0, 0, 1, 0xc8, 0x01, 0x01, 0xbb]);

function version2(command: number, kind: number, body: Buffer): Buffer {
  const fixed = Buffer.from([command, kind, body.length >> 8, body.length & 255]);
  return Buffer.concat([SIGNATURE, fixed, body]);
}

function tlv(type: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type, value.length >> 8, value.length & 255]), value]);
}

function read(bytes: Buffer | string): unknown {
  const buffer = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
  return readProxyHeader(buffer, 0, buffer.length);
}

describe.skipIf(vectorsDir() === null)('cases of others for version 1', () => {
  const file = join(vectorsDir() ?? '', 'proxy-protocol/v1.json');
  // The file's shape is known: it is part of the collection that the tests ask for by name.
  const cases = JSON.parse(readFileSync(file, 'utf8')) as Record<'valid' | 'invalid', { desc: string; raw?: string }[]>;

  test.each(cases.invalid.filter(({ raw }) => raw !== undefined))('readProxyHeader() takes no header from $desc', ({ raw }) => {
    const found = read(raw ?? '');
    // Half a header is none either: the caller waits for the rest until its deadline.
    if (raw === 'PROX' || raw?.includes('\n') === false) expect(['more', 'proxy_signature']).toContain(found);
    else expect(found).toMatch(/^proxy_/);
  });

  test.each(cases.valid)('readProxyHeader() takes $desc', ({ raw }) => {
    expect(read(raw ?? '')).toMatchObject({ version: 1 });
  });
});

test.each([
  { what: 'a signed port', line: 'PROXY TCP4 1.2.3.4 5.6.7.8 +80 443\r\n', want: 'proxy_port' },
  { what: 'a line of 108 bytes', line: `PROXY UNKNOWN ${'x'.repeat(92)}\r\n`, want: 'proxy_too_long' },
  { what: 'a lone line feed', line: 'PROXY TCP4 1.2.3.4 5.6.7.8 80 443\n', want: 'proxy_line_end' },
  { what: 'a request', line: 'GET / HTTP/1.1\r\n', want: 'proxy_signature' },
  { what: 'an unfinished line', line: 'PROXY TCP4 1.2.3.4', want: 'more' },
])('readProxyHeader() answers $want to $what', ({ line, want }) => {
  expect(read(line)).toBe(want);
});

test('readProxyHeader() tells addresses of version 1 and where the connection itself begins', () => {
  const header = 'PROXY TCP6 2001:DB8::1 ::ffff:10.0.0.1 51512 22\r\n';
  expect(read(`${header}SSH-2.0`)).toEqual({
    version: 1,
    length: header.length,
    source: { address: '2001:db8::1', port: 51_512 },
    destination: { address: '10.0.0.1', port: 22 },
  });
  const longest = `PROXY UNKNOWN ${'x'.repeat(91)}\r\n`;
  expect(longest).toHaveLength(107);
  expect(read(longest)).toMatchObject({ length: 107, source: null });
});

const ipv6 = Buffer.concat([
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.from('00000000000000000000ffff0a000001', 'hex'),
  Buffer.from([0xc9, 0x38, 0x00, 0x16]),
]);
const checked = (): Buffer => {
  const header = version2(0x21, 0x11, Buffer.concat([IPV4, tlv(3, Buffer.alloc(4))]));
  header.writeUInt32BE(crc32c(header), header.length - 4);
  return header;
};

test.each([
  { what: 'IPv4', bytes: version2(0x21, 0x11, IPV4), source: { address: '203.0.113.9', port: 51_201 } },
  { what: 'IPv6', bytes: version2(0x21, 0x21, ipv6), source: { address: '2001:db8:0:0:0:0:0:1', port: 51_512 } },
  { what: 'a Unix socket', bytes: version2(0x21, 0x31, Buffer.alloc(216)), source: null },
  { what: 'no family', bytes: version2(0x21, 0x00, Buffer.alloc(0)), source: null },
  { what: 'LOCAL', bytes: version2(0x20, 0x11, IPV4), source: null },
  { what: 'LOCAL of an unknown family', bytes: version2(0x20, 0x77, Buffer.alloc(9)), source: null },
  { what: 'a right checksum', bytes: checked(), source: { address: '203.0.113.9', port: 51_201 } },
  {
    what: 'extensions',
    bytes: version2(
      0x21,
      0x11,
      Buffer.concat([
        IPV4,
        tlv(1, Buffer.from('h2')),
        tlv(0x20, Buffer.concat([Buffer.alloc(5), tlv(0x21, Buffer.from('TLSv1.3'))])),
      ]),
    ),
    source: { address: '203.0.113.9', port: 51_201 },
  },
])('readProxyHeader() takes version 2 with $what', ({ bytes, source }) => {
  expect(read(Buffer.concat([bytes, Buffer.from('rest')]))).toMatchObject({ version: 2, length: bytes.length, source });
});

test.each([
  { what: 'another version', bytes: version2(0x31, 0x11, IPV4), want: 'proxy_command' },
  { what: 'an unknown command', bytes: version2(0x22, 0x11, IPV4), want: 'proxy_command' },
  { what: 'an unknown family', bytes: version2(0x21, 0x41, IPV4), want: 'proxy_family' },
  { what: 'datagrams', bytes: version2(0x21, 0x12, IPV4), want: 'proxy_family' },
  { what: 'addresses cut short', bytes: version2(0x21, 0x11, IPV4.subarray(1)), want: 'proxy_length' },
  { what: 'a very long header', bytes: version2(0x21, 0x11, Buffer.alloc(5000)), want: 'proxy_too_long' },
  { what: 'half an extension', bytes: version2(0x21, 0x11, Buffer.concat([IPV4, Buffer.from([1, 0])])), want: 'proxy_tlv' },
  {
    what: 'an extension that is too long',
    bytes: version2(0x21, 0x11, Buffer.concat([IPV4, Buffer.from([1, 0, 9, 1])])),
    want: 'proxy_tlv',
  },
  {
    what: 'a broken TLS extension',
    bytes: version2(0x21, 0x11, Buffer.concat([IPV4, tlv(0x20, Buffer.alloc(4))])),
    want: 'proxy_tlv',
  },
  { what: 'a long unique id', bytes: version2(0x21, 0x11, Buffer.concat([IPV4, tlv(5, Buffer.alloc(129))])), want: 'proxy_tlv' },
  {
    what: 'a wrong checksum',
    bytes: version2(0x21, 0x11, Buffer.concat([IPV4, tlv(3, Buffer.alloc(4))])),
    want: 'proxy_checksum',
  },
  { what: 'a signature that breaks off', bytes: Buffer.from('\r\n\r\n\0\r\nQUIX\n', 'latin1'), want: 'proxy_signature' },
])('readProxyHeader() answers $want to version 2 with $what', ({ bytes, want }) => {
  expect(read(bytes)).toBe(want);
});

test('readProxyHeader() waits for every byte of a header, and never throws', () => {
  for (const whole of [checked(), version2(0x21, 0x21, ipv6), Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 80 443\r\n')]) {
    for (let end = 0; end < whole.length; end++) expect(read(whole.subarray(0, end))).toBe('more');
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.constantFrom(0, 12, 14, 16), (tail, kept) => {
      const found = read(Buffer.concat([version2(0x21, 0x11, IPV4).subarray(0, kept), tail]));
      if (typeof found === 'object' && found !== null && 'length' in found)
        expect(found.length).toBeLessThanOrEqual(kept + tail.length);
    }),
    { numRuns: 3000 },
  );
});

test('crc32c() gives the check value of the standard', () => {
  expect(crc32c(Buffer.from('123456789')).toString(16)).toBe('e3069283');
});
