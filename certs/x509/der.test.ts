import asn1 from 'node-forge/lib/asn1.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { createRoot, issueSvid } from '../authority/authority.ts';
import { readCertificate } from './certificate.ts';
import { contextTag, DerCursor, oidText, TAG } from './der.ts';
import * as asn from './encode.ts';

describe('DerCursor', () => {
  test.each([
    { why: 'an indefinite length', hex: '308000000000' },
    { why: 'a length in long form that fits the short', hex: '308100' },
    { why: 'a length with a leading zero', hex: '30820080' + '00'.repeat(0x80) },
    { why: 'a length of five bytes', hex: '30850000000001aa' },
    { why: 'a length beyond the end', hex: '3002aa' },
    { why: 'a tag without a length', hex: '30' },
    { why: 'a length that is cut', hex: '3082' },
    { why: 'bytes left over', hex: '3000aa' },
    { why: 'another tag', hex: '3100' },
  ])('refuses $why', ({ hex }) => {
    const cursor = DerCursor.over(Buffer.from(hex, 'hex'));
    cursor.enter(TAG.sequence);
    cursor.close();
    expect(cursor.isSound).toBe(false);
  });

  test.each([
    { why: 'a padded integer', hex: '02020001', read: (cursor: DerCursor) => cursor.readInteger() },
    { why: 'a padded negative integer', hex: '0202ff80', read: (cursor: DerCursor) => cursor.readInteger() },
    { why: 'an empty integer', hex: '0200', read: (cursor: DerCursor) => cursor.readInteger() },
    { why: 'a negative small integer', hex: '0201ff', read: (cursor: DerCursor) => cursor.readSmallInteger() },
    { why: 'a big small integer', hex: '02050100000000', read: (cursor: DerCursor) => cursor.readSmallInteger() },
    { why: 'a boolean of 1', hex: '010101', read: (cursor: DerCursor) => cursor.readBoolean() },
    { why: 'a boolean of two bytes', hex: '0102ffff', read: (cursor: DerCursor) => cursor.readBoolean() },
    { why: 'eight unused bits', hex: '03020800', read: (cursor: DerCursor) => cursor.readNamedBits(9) },
    { why: 'unused bits that are set', hex: '03020181', read: (cursor: DerCursor) => cursor.readNamedBits(9) },
    { why: 'unused bits of nothing', hex: '030101', read: (cursor: DerCursor) => cursor.readNamedBits(9) },
    { why: 'an empty bit string', hex: '0300', read: (cursor: DerCursor) => cursor.readNamedBits(9) },
    { why: 'a signature with unused bits', hex: '03020180', read: (cursor: DerCursor) => cursor.readBitStringBytes() },
    { why: 'an empty OID', hex: '0600', read: (cursor: DerCursor) => cursor.readOid() },
    { why: 'a cut OID', hex: '060155'.replace('0155', '0255ff'), read: (cursor: DerCursor) => cursor.readOid() },
    { why: 'a padded OID', hex: '0603558001', read: (cursor: DerCursor) => cursor.readOid() },
    { why: 'a time without seconds', hex: asText(TAG.utcTime, '2611241200Z'), read: (cursor: DerCursor) => cursor.readTimeMs() },
    {
      why: 'a time with an offset',
      hex: asText(TAG.utcTime, '261124120000+0100'),
      read: (cursor: DerCursor) => cursor.readTimeMs(),
    },
    {
      why: 'a time with a fraction',
      hex: asText(TAG.generalizedTime, '20261124120000.5Z'),
      read: (cursor: DerCursor) => cursor.readTimeMs(),
    },
    { why: 'the 30th of February', hex: asText(TAG.utcTime, '260230120000Z'), read: (cursor: DerCursor) => cursor.readTimeMs() },
    { why: 'the 24th hour', hex: asText(TAG.utcTime, '261124240000Z'), read: (cursor: DerCursor) => cursor.readTimeMs() },
    { why: 'a time of letters', hex: asText(TAG.utcTime, '26112412000OZ'), read: (cursor: DerCursor) => cursor.readTimeMs() },
    {
      why: 'a time of another type',
      hex: asText(TAG.ia5String, '261124120000Z'),
      read: (cursor: DerCursor) => cursor.readTimeMs(),
    },
  ])('refuses $why', ({ hex, read }) => {
    const cursor = DerCursor.over(Buffer.from(hex, 'hex'));
    read(cursor);
    expect(cursor.isSound).toBe(false);
  });

  test('is spoilt for all that came of the same bytes', () => {
    const outer = DerCursor.over(Buffer.from('3003020100' + '3000', 'hex'));
    const inner = outer.enter(TAG.sequence);
    expect(outer.isSound).toBe(true);
    inner.read(TAG.octetString);
    expect(outer.isSound).toBe(false);
    expect(outer.read(TAG.sequence)).toHaveLength(0);
    expect(outer.isAtEnd).toBe(true);
  });

  test.each([
    { text: '500101000000Z', tag: TAG.utcTime, want: '1950-01-01T00:00:00.000Z' },
    { text: '491231235959Z', tag: TAG.utcTime, want: '2049-12-31T23:59:59.000Z' },
    { text: '20500101000000Z', tag: TAG.generalizedTime, want: '2050-01-01T00:00:00.000Z' },
    { text: '99991231235959Z', tag: TAG.generalizedTime, want: '9999-12-31T23:59:59.000Z' },
    { text: '240229000000Z', tag: TAG.utcTime, want: '2024-02-29T00:00:00.000Z' },
  ])('reads the time $text', ({ text, tag, want }) => {
    const cursor = DerCursor.over(Buffer.from(asText(tag, text), 'hex'));
    expect(new Date(cursor.readTimeMs()).toISOString()).toBe(want);
    expect(cursor.isSound).toBe(true);
  });

  test('reads what the codec writes', () => {
    const bits = fc.integer({ min: 0, max: 0x1ff });
    const whole = fc.nat(2 ** 31 - 1);
    const oid = fc
      .tuple(fc.nat(2), fc.nat(39), fc.array(fc.nat(), { maxLength: 5 }))
      .map(([a, b, rest]) => [a, b, ...rest].join('.'));
    fc.assert(
      fc.property(bits, whole, oid, fc.uint8Array({ maxLength: 300 }), fc.boolean(), (named, number, dotted, bytes, truth) => {
        const octets = Buffer.from(bytes);
        const written = asn.toDer(
          asn.sequence(
            asn.namedBits(named, 9),
            asn.integer(number),
            asn.objectId(dotted),
            asn.octetString(octets),
            asn.boolean(truth),
            asn.contextOf(3, asn.utf8String('x')),
          ),
        );
        const all = DerCursor.over(written);
        const cursor = all.enter(TAG.sequence);
        all.close();
        expect(cursor.readNamedBits(9)).toBe(named);
        expect(cursor.readSmallInteger()).toBe(number);
        expect(cursor.readOid()).toBe(dotted);
        expect(cursor.read(TAG.octetString).equals(octets)).toBe(true);
        expect(cursor.readBoolean()).toBe(truth);
        expect(cursor.enter(contextTag(3, 'constructed')).read(TAG.utf8String).toString()).toBe('x');
        cursor.close();
        expect(all.isSound).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('accepts no certificate that node-forge cannot read', () => {
    const root = createRoot({ trustDomain: 'a.test', atMs: Date.now(), lifetimeMs: 3_600_000 });
    const { der } = issueSvid(root, { spiffeId: 'spiffe://a.test/x', atMs: Date.now(), lifetimeMs: 3_600_000 }).certificate;
    let accepted = 0;
    for (let at = 0; at < der.length; at++) {
      for (const mask of [1, 0x20, 0x80]) {
        const bent = Buffer.from(der);
        bent[at] = (bent[at] ?? 0) ^ mask;
        if (!readCertificate(bent).ok) continue;
        accepted++;
        expect(() => asn1.fromDer(bent.toString('latin1'))).not.toThrow();
      }
    }
    expect(accepted).toBeGreaterThan(100);
  });
});

describe('oidText()', () => {
  test.each([
    { hex: '551d0f', want: '2.5.29.15' },
    { hex: '2a8648ce3d040302', want: '1.2.840.10045.4.3.2' },
    { hex: '883703', want: '2.999.3' },
    { hex: '00', want: '0.0' },
  ])('reads $want', ({ hex, want }) => {
    expect(oidText(Buffer.from(hex, 'hex'))).toBe(want);
  });
});

function asText(tag: number, text: string): string {
  return Buffer.concat([Buffer.from([tag, text.length]), Buffer.from(text)]).toString('hex');
}
