import { describe, expect, test } from 'vitest';

import { Meter, OpaAbort } from '../meter.ts';
import type { RegoValue } from '../value.ts';
import { callBuiltin, findBuiltin, refusalOf } from './table.ts';

/** As much as an evaluation has unless told otherwise. */
const FUEL = 1_000_000_000;
const BYTES = 64 * 1024 * 1024;
const LONG = 300_000;

describe('a builtin given a long text ends soon, by itself or for want of fuel', () => {
  const spaces = `a${' '.repeat(LONG)}b`;
  const cases: readonly (readonly [string, readonly RegoValue[]])[] = [
    ['trim_space', [spaces]],
    ['trim', [spaces, ' ']],
    ['replace', ['a'.repeat(LONG), 'a', 'b'.repeat(LONG)]],
    ['replace', ['a'.repeat(LONG), '', 'b'.repeat(1_000)]],
    ['concat', ['x'.repeat(LONG), Array.from({ length: 10_000 }, () => '')]],
    ['split', ['a'.repeat(LONG), '']],
    ['indexof_n', ['a'.repeat(LONG), 'a']],
    ['semver.is_valid', [`${'1'.repeat(LONG)}.0.0`]],
    ['units.parse', [`${'0'.repeat(LONG)}x`]],
    ['units.parse_bytes', [`${'1'.repeat(LONG)}K`]],
    ['to_number', ['1'.repeat(LONG)]],
    ['regex.match', ['(a*)*b', 'a'.repeat(LONG)]],
    ['regex.match', ['(((a{1,30}){1,30}){1,30})', 'a'.repeat(1_000)]],
    ['regex.replace', ['a'.repeat(LONG), 'a', 'b'.repeat(1_000)]],
    ['regex.split', ['', 'a'.repeat(LONG)]],
    ['glob.match', ['*a'.repeat(2_000), [], 'a'.repeat(LONG)]],
    ['yaml.unmarshal', [`a: ${'[a, '.repeat(50_000)}`]],
    ['yaml.unmarshal', ['- a\n'.repeat(LONG / 4)]],
    ['json.unmarshal', ['['.repeat(LONG)]],
    ['io.jwt.decode', [`e30.${Buffer.from(`x${"'".repeat(LONG)}x`).toString('base64url')}.`]],
    ['sprintf', ['%1000d'.repeat(1_000), Array.from({ length: 1_000 }, () => 1)]],
    ['sprintf', ['%999999999d', [1]]],
    ['bits.lsh', [1, 1_000_000_000]],
    ['numbers.range', [1, 1e15]],
    ['net.cidr_expand', ['::/0']],
    ['time.format', [[0, 'UTC', '2006'.repeat(LONG / 4)]]],
    ['urlquery.decode', ['%41'.repeat(LONG / 3)]],
    ['graph.reachable_paths', [complete(), ['0']]],
  ];

  test.each(cases)('%s', (name, args) => {
    const builtin = findBuiltin(name);
    expect(builtin).not.toBeNull();
    if (builtin === null) return;
    const begun = performance.now();
    try {
      callBuiltin(builtin, args, { meter: new Meter(FUEL, BYTES), nowNs: 0n });
    } catch (error) {
      expect(error).toBeInstanceOf(OpaAbort);
    }
    expect(performance.now() - begun).toBeLessThan(1_000);
  });
});

test.each(['http.send', 'net.lookup_ip_addr', 'rand.intn', 'io.jwt.encode_sign', 'constructor', '__proto__', ''])(
  'findBuiltin() has no "%s", and says why',
  (name) => {
    expect(findBuiltin(name)).toBeNull();
    expect(refusalOf(name)).not.toBe('');
  },
);

/** A graph of which the ways are more than anybody could list. */
function complete(): RegoValue {
  const builtin = findBuiltin('json.unmarshal');
  const nodes = Array.from({ length: 12 }, (_, index) => String(index));
  const text = JSON.stringify(Object.fromEntries(nodes.map((node) => [node, nodes])));
  return builtin?.([text], { meter: new Meter(FUEL, BYTES), nowNs: 0n }) ?? null;
}
