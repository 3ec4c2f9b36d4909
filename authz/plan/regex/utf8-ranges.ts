/** Sets of code points as patterns over the bytes of their UTF-8 form (RFC 3629): no surrogates, nothing overlong. */
import type { BytePattern, ByteRange } from './byte-pattern.ts';

/** Code points from `low` to `high`, both included. */
export interface CodeRange {
  readonly low: number;
  readonly high: number;
}

/** One code point out of the ranges, which are sorted and disjoint. */
export function utf8Pattern(ranges: readonly CodeRange[]): BytePattern {
  const sequences: (readonly ByteRange[])[] = [];
  for (const { low, high } of ranges) {
    for (const block of BLOCKS) {
      const from = Math.max(low, block.low);
      const to = Math.min(high, block.high);
      if (from <= to) split(encode(from), encode(to), sequences);
    }
  }
  return shared(sequences);
}

/**
 * The sequences as a tree: what begins alike goes on from one place, and beginnings that go on alike are one. First ranges are the
 * same or have no byte in common, because the code points have none.
 */
function shared(sequences: readonly (readonly ByteRange[])[]): BytePattern {
  const tails = new Map<string, { readonly first: ByteRange; readonly rest: (readonly ByteRange[])[] }>();
  for (const [first, ...rest] of sequences) {
    if (first === undefined) continue;
    const known = tails.get(`${first.low} ${first.high}`);
    if (known === undefined) tails.set(`${first.low} ${first.high}`, { first, rest: [rest] });
    else known.rest.push(rest);
  }
  const byTail = new Map<string, { readonly firsts: ByteRange[]; readonly rest: readonly (readonly ByteRange[])[] }>();
  for (const { first, rest } of tails.values()) {
    const key = rest.map((ranges) => ranges.map(({ high, low }) => `${low}-${high}`).join()).join(' ');
    const known = byTail.get(key);
    if (known === undefined) byTail.set(key, { firsts: [first], rest });
    else known.firsts.push(first);
  }
  const choices = [...byTail.values()].map(({ firsts, rest }): BytePattern => {
    const bytes: BytePattern = { kind: 'bytes', ranges: firsts };
    return rest.every(({ length }) => length === 0) ? bytes : { kind: 'sequence', of: [bytes, shared(rest)] };
  });
  const [only] = choices;
  return choices.length === 1 && only !== undefined ? only : { kind: 'choice', of: choices };
}

/** Sorted, overlapping and adjacent ranges joined. */
export function joinRanges(ranges: readonly CodeRange[]): readonly CodeRange[] {
  const joined: { low: number; high: number }[] = [];
  for (const { low, high } of ranges.toSorted((left, right) => left.low - right.low)) {
    const last = joined.at(-1);
    if (last !== undefined && low <= last.high + 1) last.high = Math.max(last.high, high);
    else joined.push({ low, high });
  }
  return joined;
}

/** All code points that are in none of the ranges. */
export function otherCodes(ranges: readonly CodeRange[]): readonly CodeRange[] {
  const others: CodeRange[] = [];
  let next = 0;
  for (const { low, high } of joinRanges(ranges)) {
    if (low > next) others.push({ low: next, high: low - 1 });
    next = high + 1;
  }
  if (next <= LAST_CODE) others.push({ low: next, high: LAST_CODE });
  return others;
}

/** Splits until each byte of `from` to `to` is a range of its own. Both have the same length. */
function split(from: readonly number[], to: readonly number[], into: (readonly ByteRange[])[]): void {
  const differing = from.findIndex((byte, index) => byte !== to[index]);
  if (differing < 0 || differing === from.length - 1) {
    into.push(from.map((low, index) => ({ low, high: to[index] ?? low })));
    return;
  }
  const isFull = (bytes: readonly number[], filler: number): boolean =>
    bytes.slice(differing + 1).every((byte) => byte === filler);
  const head = from.slice(0, differing);
  const filled = (byte: number, filler: number): number[] => [...head, byte, ...from.slice(differing + 1).map(() => filler)];
  const first = from[differing] ?? 0;
  const last = to[differing] ?? 0;
  const isFirstFull = isFull(from, 0x80);
  const isLastFull = isFull(to, 0xbf);
  if (!isFirstFull) split(from, filled(first, 0xbf), into);
  const low = isFirstFull ? first : first + 1;
  const high = isLastFull ? last : last - 1;
  if (low <= high) {
    into.push([
      ...head.map((byte) => ({ low: byte, high: byte })),
      { low, high },
      ...from.slice(differing + 1).map(() => ({ low: 0x80, high: 0xbf })),
    ]);
  }
  if (!isLastFull) split(filled(last, 0x80), to, into);
}

function encode(code: number): readonly number[] {
  return [...Buffer.from(String.fromCodePoint(code), 'utf8')];
}

export const LAST_CODE = 0x10ffff;
/** By length of their encoding, surrogates left out. */
const BLOCKS: readonly CodeRange[] = [
  { low: 0, high: 0x7f },
  { low: 0x80, high: 0x7ff },
  { low: 0x800, high: 0xd7ff },
  { low: 0xe000, high: 0xffff },
  { low: 0x10000, high: LAST_CODE },
];
