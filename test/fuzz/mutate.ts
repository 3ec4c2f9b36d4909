/** Changes to bytes that a parser is likely to have forgotten: at random, but of the kinds that have broken parsers before. */
import type { Random } from './h1-inputs.ts';

/** A changed copy; `other` lends pieces. */
export function mutate(random: Random, bytes: Buffer, other: Buffer): Buffer {
  let changed = bytes;
  for (let times = 1 + random.below(4); times > 0; times--) changed = change(random, changed, other);
  return changed.length > INPUT_MAX ? changed.subarray(0, INPUT_MAX) : changed;
}

function change(random: Random, bytes: Buffer, other: Buffer): Buffer {
  const at = random.below(bytes.length + 1);
  const to = Math.min(bytes.length, at + random.below(random.below(4) === 0 ? 200 : 8));
  switch (random.below(9)) {
    case 0:
      return overwritten(bytes, at, Buffer.of(random.below(256)));
    case 1:
      return overwritten(bytes, at, Buffer.of((bytes[at] ?? 0) ^ (1 << random.below(8))));
    case 2:
      return overwritten(bytes, at, bigEndian(random));
    case 3:
      return spliced(bytes, at, to, Buffer.alloc(0));
    case 4:
      return spliced(bytes, at, at, bytes.subarray(at, to));
    case 5:
      return spliced(bytes, at, at, random.pick(TOKENS));
    case 6:
      return bytes.subarray(0, at);
    case 7: {
      const from = random.below(other.length + 1);
      return spliced(bytes, at, random.below(2) === 0 ? at : to, other.subarray(from, from + random.below(64)));
    }
    default:
      return Buffer.concat([bytes.subarray(0, at), other.subarray(random.below(other.length + 1))]);
  }
}

function overwritten(bytes: Buffer, at: number, by: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  by.copy(copy, Math.min(at, Math.max(0, copy.length - by.length)));
  return copy;
}

function spliced(bytes: Buffer, from: number, to: number, by: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, from), by, bytes.subarray(to)]);
}

/** A number at a border, in one to eight bytes. */
function bigEndian(random: Random): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(random.pick(BORDERS));
  return bytes.subarray(8 - random.pick([1, 2, 3, 4, 8]));
}

const BORDERS = [
  0n,
  1n,
  0x7fn,
  0x80n,
  0xffn,
  0x3fffn,
  0x4000n,
  0x4001n,
  0x7fffn,
  0xffffn,
  0xff_ffffn,
  0x7fff_ffffn,
  0xffff_ffffn,
  2n ** 53n,
  2n ** 63n,
];
const TOKENS = [
  '\r\n',
  '\r\n\r\n',
  '\n',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '#',
  '%2f',
  '0\r\n\r\n',
  'Content-Length: 1\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Host: b\r\n',
].map((text) => Buffer.from(text, 'latin1'));
const INPUT_MAX = 64 * 1024;
