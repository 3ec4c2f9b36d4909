/** `net.cidr_*`: sets of addresses. Nothing here asks the network. */
import { cidrContains, parseCidr, parseIp } from '#base/cidr.ts';
import type { CidrBlock } from '#base/cidr.ts';

import { RegoObject, RegoSet, isArray } from '../value.ts';
import type { RegoValue } from '../value.ts';
import { elementsOf, ofText, ofTwoTexts, textsOf } from './builtin.ts';
import type { BuiltinContext, BuiltinTable } from './builtin.ts';

export const NET_BUILTINS: BuiltinTable = {
  'net.cidr_contains': ofTwoTexts(contains),
  'net.cidr_overlap': ofTwoTexts(contains),
  'net.cidr_intersects': ofTwoTexts((left, right) => {
    const [a, b] = [readBlock(left), readBlock(right)];
    return a === null || b === null ? undefined : blockContains(a, b) || blockContains(b, a);
  }),
  'net.cidr_is_valid': ([text]) => typeof text === 'string' && readBlock(text) !== null,
  'net.cidr_expand': ofText((text, context) => expand(text, context)),
  'net.cidr_merge': ([list]) => merge(list),
  'net.cidr_contains_matches': ([left, right], context) => matches(left, right, context),
};

function contains(outer: string, inner: string): boolean | undefined {
  const block = readBlock(outer);
  if (block === null) return undefined;
  if (inner.includes('/')) {
    const other = readBlock(inner);
    return other === null ? undefined : blockContains(block, other);
  }
  const address = parseIp(inner);
  return address === null ? undefined : cidrContains(block, address);
}

function readBlock(text: string): CidrBlock | null {
  return text.includes('/') ? parseCidr(text) : null;
}

function blockContains(outer: CidrBlock, inner: CidrBlock): boolean {
  return outer.prefixLength <= inner.prefixLength && cidrContains(outer, inner.address);
}

function expand(text: string, { meter }: BuiltinContext): RegoValue | undefined {
  const block = readBlock(text);
  if (block === null) return undefined;
  const size = 1n << BigInt(block.address.length * 8 - block.prefixLength);
  meter.hold(Number(size) * 64);
  const first = numberOf(block.address);
  const set = new RegoSet();
  for (let at = 0n; at < size; at++) set.add(addressText(first + at, block.address.length));
  return set;
}

/** The fewest blocks that hold the same addresses; bare addresses are blocks of one. */
function merge(list: RegoValue | undefined): RegoValue | undefined {
  const texts = textsOf(list);
  if (texts === null) return undefined;
  const ranges: { readonly bytes: number; first: bigint; last: bigint }[] = [];
  for (const text of texts) {
    const block = parseCidr(text);
    if (block === null) return undefined;
    const bytes = block.address.length;
    const first = numberOf(block.address);
    ranges.push({ bytes, first, last: first + (1n << BigInt(bytes * 8 - block.prefixLength)) - 1n });
  }
  ranges.sort((a, b) => a.bytes - b.bytes || (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const merged: typeof ranges = [];
  for (const range of ranges) {
    const before = merged.at(-1);
    if (before !== undefined && before.bytes === range.bytes && range.first <= before.last + 1n) {
      if (range.last > before.last) before.last = range.last;
    } else merged.push({ ...range });
  }
  return RegoSet.of(merged.flatMap(({ bytes, first, last }) => blocksOf(first, last, bytes)));
}

function blocksOf(first: bigint, last: bigint, bytes: number): string[] {
  const blocks: string[] = [];
  let from = first;
  while (from <= last) {
    let free = 0;
    while (free < bytes * 8 && (from >> BigInt(free)) % 2n === 0n && from + (1n << BigInt(free + 1)) - 1n <= last) free++;
    blocks.push(`${addressText(from, bytes)}/${bytes * 8 - free}`);
    from += 1n << BigInt(free);
  }
  return blocks;
}

/** Pairs of keys (index, name or the text itself) whose blocks hold one another. */
function matches(left: RegoValue | undefined, right: RegoValue | undefined, { meter }: BuiltinContext): RegoValue | undefined {
  const [outers, inners] = [keyedBlocks(left), keyedBlocks(right)];
  if (outers === null || inners === null) return undefined;
  meter.spend(outers.length * inners.length);
  const set = new RegoSet();
  for (const [outerKey, outer] of outers) {
    for (const [innerKey, inner] of inners) {
      const holds = contains(outer, inner);
      if (holds === undefined) return undefined;
      if (holds) set.add([outerKey, innerKey]);
    }
  }
  return set;
}

function keyedBlocks(value: RegoValue | undefined): readonly (readonly [RegoValue, string])[] | null {
  if (typeof value === 'string') return [[value, value]];
  const pairs: (readonly [RegoValue, RegoValue])[] = [];
  if (value instanceof RegoObject) pairs.push(...value.entries());
  else if (isArray(value)) pairs.push(...value.map((element, index): [RegoValue, RegoValue] => [index, element]));
  else if (value instanceof RegoSet) pairs.push(...(elementsOf(value) ?? []).map((one): [RegoValue, RegoValue] => [one, one]));
  else return null;
  const keyed: (readonly [RegoValue, string])[] = [];
  for (const [key, element] of pairs) {
    const text = isArray(element) ? element[0] : element;
    if (typeof text !== 'string') return null;
    keyed.push([key, text]);
  }
  return keyed;
}

function numberOf(address: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(address).toString('hex')}`);
}

function addressText(value: bigint, bytes: number): string {
  if (bytes === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.');
  const groups = Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16));
  return shortened(groups);
}

/** RFC 5952: the longest run of zeros, of at least two, becomes `::`. */
function shortened(groups: readonly string[]): string {
  let best = { start: 0, length: 1 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === '0') length++;
    if (length > best.length) best = { start, length };
  }
  if (best.length < 2) return groups.join(':');
  return `${groups.slice(0, best.start).join(':')}::${groups.slice(best.start + best.length).join(':')}`;
}
