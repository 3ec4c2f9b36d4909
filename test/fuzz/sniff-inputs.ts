/** Random beginnings of connections: mostly well formed, of which some bytes are bent, cut or repeated. */
import type { Random } from './h1-inputs.ts';

/** A ClientHello in records of any size. */
export function randomHello(random: Random): Buffer {
  const extensions: Buffer[] = [];
  for (let count = random.below(6); count > 0; count--) extensions.push(randomExtension(random));
  const parts = [
    Buffer.from([3, 3]),
    Buffer.alloc(32, random.below(256)),
    sized(1, Buffer.alloc(random.below(4) === 0 ? random.below(40) : 32)),
    sized(2, Buffer.alloc(2 * (1 + random.below(20)), 19)),
    sized(1, Buffer.alloc(1)),
  ];
  if (random.below(10) > 0) parts.push(sized(2, Buffer.concat(extensions)));
  const message = Buffer.concat([Buffer.from([1]), sized(3, Buffer.concat(parts))]);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length;) {
    const length = random.below(3) === 0 ? 1 + random.below(60) : 16_384;
    records.push(Buffer.from([22, 3, random.below(4)]), sized(2, message.subarray(at, at + length)));
    at += length;
  }
  return bent(random, Buffer.concat(records));
}

/** A header of either version, then something. */
export function randomProxyHeader(random: Random): Buffer {
  const header = random.below(2) === 0 ? Buffer.from(randomLine(random), 'latin1') : randomBinary(random);
  return bent(random, Buffer.concat([header, Buffer.from('GET / HTTP/1.1\r\n')]));
}

/** Any protocol's first bytes. */
export function randomStart(random: Random): Buffer {
  switch (random.below(6)) {
    case 0:
      return randomHello(random);
    case 1:
      return randomProxyHeader(random);
    case 2:
      return bent(random, Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1'));
    case 3:
      return Buffer.from(Array.from({ length: random.below(60) }, () => random.below(256)));
    default: {
      const method = random.pick(['GET', 'POST', 'PURGE', 'get', 'M-SEARCH', 'PROXY', 'PRI', '*1', '']);
      const target = random.pick(['/', '*', '/a b', 'http://a/', '\xff', '']);
      const version = random.pick([' HTTP/1.1', ' HTTP/1.0', '', ' HTTP/2.0', '\thttp/1.1']);
      return bent(
        random,
        Buffer.from(`${random.pick(['', '', '\r\n', ' '])}${method} ${target}${version}\r\nHost: a\r\n\r\n`, 'latin1'),
      );
    }
  }
}

function randomExtension(random: Random): Buffer {
  const type = random.pick([0, 16, 10, 13, 43, 51, 0x0a0a]);
  let body: Buffer = Buffer.alloc(random.below(40));
  if (type === 16) {
    const names = Array.from({ length: 1 + random.below(3) }, () => random.pick(['h2', 'http/1.1', 'istio', 'istio-h2', 'x']));
    body = sized(2, Buffer.concat(names.map((name) => sized(1, Buffer.from(name)))));
  } else if (type === 0) {
    body = sized(2, Buffer.concat([Buffer.from([0]), sized(2, Buffer.from(random.pick(['a.test', 'outbound_.80_._.b', 'X'])))]));
  }
  return Buffer.concat([Buffer.from([type >> 8, type & 255]), sized(2, body)]);
}

function randomLine(random: Random): string {
  const family = random.pick(['TCP4', 'TCP6', 'UNKNOWN', 'TCP5', '']);
  const address = (): string =>
    random.pick(['203.0.113.9', '10.0.0.1', '2001:db8::1', '::ffff:10.0.0.1', '1.2.3.4', '01.2.3.4', 'x']);
  const port = (): string => random.pick(['80', '443', '65535', '0', '080', '99999', '']);
  return `PROXY ${family} ${address()} ${address()} ${port()} ${port()}${random.pick(['\r\n', '\r\n', '\n', ''])}`;
}

function randomBinary(random: Random): Buffer {
  const [kind, size] = random.pick([
    [0x11, 12],
    [0x21, 36],
    [0x31, 216],
    [0x00, 0],
    [0x12, 12],
  ] as const);
  const parts: Buffer[] = [Buffer.alloc(size, random.below(256))];
  for (let count = random.below(4); count > 0; count--) {
    parts.push(Buffer.from([random.pick([1, 2, 3, 4, 5, 0x20, 0x30])]), sized(2, Buffer.alloc(random.below(20))));
  }
  const body = Buffer.concat(parts);
  const fixed = Buffer.from([random.below(8) === 0 ? random.below(256) : random.pick([0x20, 0x21, 0x21]), kind]);
  return Buffer.concat([Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'), fixed, sized(2, body)]);
}

/** Unchanged as a rule; else with a few bytes changed, cut out or repeated. */
function bent(random: Random, bytes: Buffer): Buffer {
  let changed = bytes;
  for (let count = random.below(3) === 0 ? 1 + random.below(3) : 0; count > 0; count--) {
    const copy = Buffer.from(changed);
    const at = random.below(copy.length + 1);
    switch (random.below(3)) {
      case 0:
        if (at < copy.length) copy[at] = random.below(256);
        changed = copy;
        break;
      case 1:
        changed = Buffer.concat([copy.subarray(0, at), copy.subarray(at + 1 + random.below(4))]);
        break;
      default:
        changed = Buffer.concat([copy.subarray(0, at), copy.subarray(Math.max(0, at - 3))]);
    }
  }
  return changed;
}

function sized(lengthBytes: number, body: Buffer): Buffer {
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(body.length, 0, lengthBytes);
  return Buffer.concat([length, body]);
}
