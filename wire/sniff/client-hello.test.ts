import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { connect } from 'node:tls';

import fc from 'fast-check';
import { expect, test } from 'vitest';

import { HELLO_MAX, readClientHello } from './client-hello.ts';

interface Extension {
  readonly type: number;
  readonly body: Buffer;
}

function sized(lengthBytes: number, body: Buffer): Buffer {
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(body.length, 0, lengthBytes);
  return Buffer.concat([length, body]);
}

function alpn(...protocols: string[]): Extension {
  return { type: 16, body: sized(2, Buffer.concat(protocols.map((name) => sized(1, Buffer.from(name, 'latin1'))))) };
}

function serverName(name: string): Extension {
  return { type: 0, body: sized(2, Buffer.concat([Buffer.from([0]), sized(2, Buffer.from(name, 'latin1'))])) };
}

function message(extensions: readonly Extension[] | null): Buffer {
  const parts = [
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    sized(1, Buffer.alloc(32)),
    sized(2, Buffer.from([0x13, 0x01])),
    sized(1, Buffer.from([0])),
  ];
  if (extensions !== null) {
    const each = extensions.map(({ type, body }) => Buffer.concat([Buffer.from([type >> 8, type & 255]), sized(2, body)]));
    parts.push(sized(2, Buffer.concat(each)));
  }
  return Buffer.concat([Buffer.from([1]), sized(3, Buffer.concat(parts))]);
}

/** In records of at most so many bytes. */
function records(whole: Buffer, size = 16_384): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < whole.length; at += size) parts.push(Buffer.from([22, 3, 1]), sized(2, whole.subarray(at, at + size)));
  return Buffer.concat(parts);
}

function read(bytes: Buffer): unknown {
  return readClientHello(bytes, 0, bytes.length);
}

const usual = message([
  serverName('Outbound_.8080_._.Orders.shop'),
  { type: 10, body: Buffer.from('0002001d', 'hex') },
  alpn('istio-h2', 'istio', 'h2'),
]);
const told = { alpn: ['istio-h2', 'istio', 'h2'], serverName: 'outbound_.8080_._.orders.shop' };

test.each([1, 2, 5, 64, 16_384])('readClientHello() puts a hello together from records of %i bytes', (size) => {
  const bytes = records(usual, size);
  expect(read(Buffer.concat([bytes, Buffer.from('rest')]))).toEqual(told);
  for (let end = 0; end < bytes.length; end++) expect(readClientHello(bytes, 0, end)).toBe('more');
});

test.each([
  { what: 'no extensions', whole: message(null) },
  { what: 'none of those that tell', whole: message([{ type: 10, body: Buffer.alloc(2) }]) },
])('readClientHello() tells nothing of a hello with $what', ({ whole }) => {
  expect(read(records(whole))).toEqual({ alpn: [], serverName: null });
});

test.each([
  { what: 'a repeated extension', whole: message([alpn('h2'), alpn('h2')]) },
  { what: 'an empty list of protocols', whole: message([{ type: 16, body: Buffer.from([0, 0]) }]) },
  { what: 'an empty protocol', whole: message([alpn('')]) },
  { what: 'a list of protocols that is too long', whole: message([{ type: 16, body: Buffer.from([0, 4, 1, 104]) }]) },
  { what: 'bytes behind the list of protocols', whole: message([{ type: 16, body: Buffer.from([0, 2, 1, 104, 0]) }]) },
  { what: 'an empty name', whole: message([serverName('')]) },
  { what: 'a name with a NUL', whole: message([serverName('a\0b')]) },
  { what: 'a name beyond ASCII', whole: message([serverName('\xe9')]) },
  { what: 'a name of 256 bytes', whole: message([serverName('a'.repeat(256))]) },
  { what: 'another kind of name', whole: message([{ type: 0, body: Buffer.from([0, 4, 1, 0, 1, 97]) }]) },
  {
    what: 'bytes behind the extensions',
    whole: Buffer.concat([Buffer.from([1]), sized(3, Buffer.concat([message([]).subarray(4), Buffer.from([0])]))]),
  },
  { what: 'half a message', whole: Buffer.concat([Buffer.from([1]), sized(3, usual.subarray(4, 60))]) },
])('readClientHello() takes no hello with $what', ({ whole }) => {
  expect(read(records(whole))).toBe('hello_malformed');
});

test.each([
  { what: 'an empty record', bytes: Buffer.from([22, 3, 1, 0, 0]), want: 'hello_malformed' },
  { what: 'a record that is too long', bytes: Buffer.from([22, 3, 1, 0x40, 0x01]), want: 'hello_malformed' },
  {
    what: 'another kind of record between',
    bytes: Buffer.concat([records(usual.subarray(0, 50)), Buffer.from([21, 3, 1, 0, 2, 1, 0])]),
    want: 'hello_malformed',
  },
  { what: 'another message', bytes: records(Buffer.from([2, 0, 0, 1, 0])), want: 'hello_malformed' },
  { what: 'a message beyond the bound', bytes: records(Buffer.from([1, 0, 0x40, 0])), want: 'hello_too_large' },
  {
    what: 'a message in very many records',
    bytes: records(Buffer.concat([Buffer.from([1, 0, 0x3f, 0]), Buffer.alloc(5_000)]), 1),
    want: 'hello_too_large',
  },
])('readClientHello() answers $want to $what', ({ bytes, want }) => {
  expect(read(bytes)).toBe(want);
});

test("readClientHello() reads what Node's own client sends", async () => {
  const { promise: hello, resolve } = Promise.withResolvers<Buffer>();
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (chunk: Buffer) => {
      resolve(chunk);
      socket.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({
    // A server that listens on TCP has such an address.
    port: (server.address() as AddressInfo).port,
    host: '127.0.0.1',
    servername: 'orders.shop.test',
    ALPNProtocols: ['istio-http/1.1', 'istio', 'http/1.1'],
  });
  client.on('error', () => {});
  const bytes = await hello;
  expect(readClientHello(bytes, 0, bytes.length)).toEqual({
    alpn: ['istio-http/1.1', 'istio', 'http/1.1'],
    serverName: 'orders.shop.test',
  });
  client.destroy();
  server.close();
});

test('readClientHello() never throws and reads the same however its records are cut', () => {
  fc.assert(
    fc.property(
      fc.nat(usual.length - 1),
      fc.integer({ min: 0, max: 255 }),
      fc.integer({ min: 1, max: 400 }),
      (at, byte, size) => {
        const bent = Buffer.from(usual);
        bent[at] = byte;
        const whole = read(records(bent));
        if (whole !== 'more') expect(read(records(bent, size))).toEqual(whole);
      },
    ),
    { numRuns: 3000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (tail) => {
      read(Buffer.concat([Buffer.from([22, 3, 1]), tail]));
    }),
    { numRuns: 2000 },
  );
  expect(HELLO_MAX).toBe(16_384);
});
