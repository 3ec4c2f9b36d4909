/**
 * Patterns over values -> patterns over what stands for them in a path or a query (RFC 3986, section 2.1): each byte as it is, or as
 * `%` and two hexadecimal digits; in a query a blank also as `+`. What decodes to nothing, as `%zz`, matches no such pattern.
 */
import { oneByte } from './byte-pattern.ts';
import type { BytePattern, ByteRange } from './byte-pattern.ts';

/** Where a text stands: which bytes end it there, and so are in it only as escapes. */
export type Encoding = 'segment' | 'name' | 'value';

/** The pattern must have no assertions. */
export function percentEncoded(pattern: BytePattern, encoding: Encoding): BytePattern {
  switch (pattern.kind) {
    case 'bytes':
      return encodedByte(pattern.ranges, encoding);
    case 'sequence':
    case 'choice':
      return { kind: pattern.kind, of: pattern.of.map((part) => percentEncoded(part, encoding)) };
    case 'repeat':
      return { ...pattern, of: percentEncoded(pattern.of, encoding) };
    case 'assertion':
      throw new Error('an assertion looks at what stands beside it');
  }
}

/** Every text but those: what a name is that is none of the names. */
export function noneOf(texts: readonly string[], encoding: Encoding): BytePattern {
  const byFirst = Map.groupBy(
    texts.filter((text) => text !== ''),
    (text) => text.charCodeAt(0),
  );
  const firsts = [...byFirst.keys()].toSorted((left, right) => left - right);
  const others = encodedByte(gapsOf(firsts), encoding);
  const any: BytePattern = { kind: 'repeat', of: encodedByte([{ low: 0, high: 0xff }], encoding), least: 0, most: null };
  const longer: readonly BytePattern[] = [...byFirst].map(([first, found]) => ({
    kind: 'sequence',
    of: [
      encodedByte([{ low: first, high: first }], encoding),
      noneOf(
        found.map((text) => text.slice(1)),
        encoding,
      ),
    ],
  }));
  const nothing: readonly BytePattern[] = texts.includes('') ? [] : [{ kind: 'sequence', of: [] }];
  return { kind: 'choice', of: [...nothing, { kind: 'sequence', of: [others, any] }, ...longer] };
}

function encodedByte(ranges: readonly ByteRange[], encoding: Encoding): BytePattern {
  const key = `${encoding} ${ranges.map(({ high, low }) => `${low}-${high}`).join()}`;
  const known = KNOWN.get(key);
  if (known !== undefined) return known;
  const members = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) =>
    ranges.some(({ high, low }) => byte >= low && byte <= high),
  );
  const plain = members.filter((byte) => !ENDS[encoding].includes(byte));
  if (encoding !== 'segment' && members.includes(BLANK)) plain.push(PLUS);
  // Bytes whose escapes end alike are told together.
  const lowOf = (high: number): readonly number[] => members.filter((byte) => byte >> 4 === high).map((byte) => byte & 15);
  const highs = Map.groupBy(
    Array.from({ length: 16 }, (_, high) => high).filter((high) => lowOf(high).length > 0),
    (high) => lowOf(high).join(),
  );
  const escapes = [...highs.values()].map((same): BytePattern => ({
    kind: 'sequence',
    of: [digitOf(same), digitOf(lowOf(same[0] ?? 0))],
  }));
  const made: BytePattern = {
    kind: 'choice',
    of: [
      { kind: 'bytes', ranges: plain.map((byte) => ({ low: byte, high: byte })) },
      { kind: 'sequence', of: [oneByte(PERCENT), { kind: 'choice', of: escapes }] },
    ],
  };
  if (KNOWN.size < MAX_KNOWN) KNOWN.set(key, made);
  return made;
}

/** One hexadecimal digit of those values, in either case. */
function digitOf(values: readonly number[]): BytePattern {
  const codes = values.flatMap((value) => {
    const digit = value.toString(16);
    return [...new Set([digit, digit.toUpperCase()])].map((text) => text.charCodeAt(0));
  });
  return { kind: 'bytes', ranges: codes.map((code) => ({ low: code, high: code })) };
}

/** All bytes but those. */
function gapsOf(sorted: readonly number[]): readonly ByteRange[] {
  const ranges: ByteRange[] = [];
  let next = 0;
  for (const byte of sorted) {
    if (byte > next) ranges.push({ low: next, high: byte - 1 });
    next = byte + 1;
  }
  if (next <= 0xff) ranges.push({ low: next, high: 0xff });
  return ranges;
}

const BLANK = 0x20;
const PERCENT = 0x25;
const AMPERSAND = 0x26;
const PLUS = 0x2b;
const SLASH = 0x2f;
const EQUALS = 0x3d;
const ENDS: Readonly<Record<Encoding, readonly number[]>> = {
  segment: [PERCENT, SLASH],
  name: [PERCENT, AMPERSAND, EQUALS, PLUS],
  value: [PERCENT, AMPERSAND, PLUS],
};
const KNOWN = new Map<string, BytePattern>();
const MAX_KNOWN = 1_000;
