import { generateKeyPairSync } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { add, bundleOf, bundlesOf, drop, intact, swap, unknownExtension } from '#test/support/authority.ts';

import { createIntermediate, createRoot, issueSvid } from './authority/authority.ts';
import type { Authority, IssuedSvid, Overrides } from './authority/authority.ts';
import { TrustBundles } from './trust-bundle.ts';
import { verifySvid } from './verify.ts';
import type { VerifyResult } from './verify.ts';
import { EXTENDED_KEY_USAGE, EXTENSION, KEY_USAGE } from './x509/extensions.ts';
import { contextOf, contextString, sequence, toDer } from './x509/encode.ts';
import * as write from './x509/write.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const ID = 'spiffe://a.test/ns/prod/sa/web';
/** A whole second, as certificates have it. */
const atMs = Math.floor(Date.now() / 1000) * 1000;

const root = createRoot({ trustDomain: 'a.test', atMs, lifetimeMs: DAY_MS });
const foreign = createRoot({ trustDomain: 'b.test', atMs, lifetimeMs: DAY_MS });
const bundles = bundlesOf(root, foreign);

describe('verifySvid()', () => {
  test('tells who the peer is, and until when', () => {
    const svid = leaf(below(root));
    const result = verifySvid(svid.chain, bundles, { atMs });
    expect(result).toEqual({
      ok: true,
      identity: {
        spiffeId: ID,
        trustDomain: 'a.test',
        path: '/ns/prod/sa/web',
        notBeforeMs: atMs - 60_000,
        notAfterMs: atMs + HOUR_MS,
        serial: svid.certificate.x509.serialNumber,
        fingerprint: svid.certificate.x509.fingerprint256.replaceAll(':', '').toLowerCase(),
        subject: '',
        dnsNames: [],
      },
    });
  });

  test('holds no longer than the first certificate of the path', () => {
    const short = createIntermediate(root, { atMs, lifetimeMs: HOUR_MS / 2 });
    expect(verifySvid(leaf(short).chain, bundles, { atMs })).toMatchObject({ identity: { notAfterMs: atMs + HOUR_MS / 2 } });
  });

  test.each([
    { when: 'at notBefore', offset: -60_000, want: true },
    { when: 'a millisecond before notBefore', offset: -60_001, want: 'not_yet_valid' },
    { when: 'at notAfter', offset: HOUR_MS, want: true },
    { when: 'a millisecond after notAfter', offset: HOUR_MS + 1, want: 'expired' },
  ])('has no leniency: $when', ({ offset, want }) => {
    expect(verdict(verifySvid(leaf(root).chain, bundles, { atMs: atMs + offset }))).toBe(want);
  });

  test.each([
    { why: 'no certificate', chain: [], want: 'chain_empty' },
    { why: 'eleven certificates', chain: Array.from({ length: 11 }, () => root.certificate.der), want: 'chain_too_long' },
    { why: 'no bytes', chain: [Buffer.alloc(0)], want: 'certificate_malformed' },
    { why: 'bytes that are no certificate', chain: [Buffer.from('hello')], want: 'certificate_malformed' },
    { why: 'a huge certificate', chain: [Buffer.alloc(32_769)], want: 'certificate_too_large' },
    {
      why: 'bytes after the certificate',
      chain: [Buffer.concat([leaf(root).certificate.der, Buffer.alloc(1)])],
      want: 'certificate_malformed',
    },
    { why: 'junk beside a good leaf', chain: [leaf(root).certificate.der, Buffer.from('junk')], want: 'certificate_malformed' },
  ])('refuses $why', ({ chain, want }) => {
    expect(verdict(verifySvid(chain, bundles, { atMs }))).toBe(want);
  });

  test.each<{ why: string; overrides: Overrides; want: true | string }>([
    { why: 'no extended key usage', overrides: drop(EXTENSION.extKeyUsage), want: true },
    { why: 'no basic constraints', overrides: drop(EXTENSION.basicConstraints), want: true },
    { why: 'no key identifiers', overrides: drop(EXTENSION.authorityKeyIdentifier, EXTENSION.subjectKeyIdentifier), want: true },
    { why: 'extended key usage of clients only', overrides: usages('clientAuth'), want: 'extended_key_usage' },
    { why: 'extended key usage of servers only', overrides: usages('serverAuth'), want: 'extended_key_usage' },
    {
      why: 'a key usage that is not critical',
      overrides: swap({ ...write.keyUsage(KEY_USAGE.digitalSignature), isCritical: false }),
      want: 'key_usage_not_critical',
    },
    {
      why: 'keyEncipherment beside digitalSignature',
      overrides: swap(write.keyUsage(KEY_USAGE.digitalSignature | KEY_USAGE.keyEncipherment)),
      want: true,
    },
    {
      why: 'no subject and names that are not critical',
      overrides: swap(write.subjectAltName([ID], [], false)),
      want: 'san_not_critical',
    },
    {
      why: 'a subject and names that are not critical',
      overrides: (fields) => ({
        ...swap(write.subjectAltName([ID], [], false))(fields),
        subject: write.nameDer([['2.5.4.3', 'web']]),
      }),
      want: true,
    },
    { why: 'name constraints', overrides: add(write.nameConstraints(['a.test'], [])), want: 'leaf_name_constraints' },
    { why: 'an extension that is there twice', overrides: add(write.basicConstraints(false)), want: 'certificate_malformed' },
    { why: 'an unknown extension that is not critical', overrides: add(unknownExtension(false)), want: true },
    { why: 'the serial number 0', overrides: () => ({ serial: Buffer.from([0]) }), want: 'serial' },
    { why: 'a negative serial number', overrides: () => ({ serial: Buffer.from([0x80]) }), want: 'serial' },
    { why: 'a serial number of 21 bytes', overrides: () => ({ serial: Buffer.alloc(21, 1) }), want: 'serial' },
    { why: 'a serial number of 20 bytes', overrides: () => ({ serial: Buffer.alloc(20, 1) }), want: true },
    { why: 'a serial number with its sign byte', overrides: () => ({ serial: Buffer.from([0, 0x81]) }), want: true },
    { why: 'an RSA key of 1024 bits', overrides: () => ({ publicKey: rsa(1024) }), want: 'weak_key' },
    { why: 'an RSA key of 2048 bits', overrides: () => ({ publicKey: rsa(2048) }), want: true },
    { why: 'a key on secp256k1', overrides: () => ({ publicKey: ec('secp256k1') }), want: 'weak_key' },
    { why: 'a key on P-384', overrides: () => ({ publicKey: ec('P-384') }), want: true },
    { why: 'an Ed25519 key', overrides: () => ({ publicKey: generateKeyPairSync('ed25519').publicKey }), want: true },
    { why: 'the version 1', overrides: () => ({ version: 1 }), want: 'version' },
    { why: 'an X25519 key', overrides: () => ({ publicKey: generateKeyPairSync('x25519').publicKey }), want: 'weak_key' },
    { why: "another's signature", overrides: () => ({ signer: foreign.key }), want: 'signature' },
  ])('judges a leaf with $why', ({ overrides, want }) => {
    const result = tryLeaf(root, overrides);
    // The authority itself cannot make a certificate of which an extension is there twice.
    expect(result === null ? 'certificate_malformed' : verdict(verifySvid(result.chain, bundles, { atMs }))).toBe(want);
  });

  test.each<{ why: string; overrides: Overrides; want: true | string }>([
    {
      why: 'basic constraints that are not critical',
      overrides: swap({ ...write.basicConstraints(true), isCritical: false }),
      want: 'issuer_constraints_not_critical',
    },
    { why: 'no key usage', overrides: drop(EXTENSION.keyUsage), want: 'issuer_key_cert_sign' },
    { why: 'no basic constraints', overrides: drop(EXTENSION.basicConstraints), want: 'issuer_not_ca' },
    { why: 'an unknown critical extension', overrides: add(unknownExtension(true)), want: 'issuer_critical_extension' },
    { why: 'an end in the past', overrides: () => ({ notAfterMs: atMs - 1000 }), want: 'issuer_expired' },
    { why: 'a beginning in the future', overrides: () => ({ notBeforeMs: atMs + 1000 }), want: 'issuer_not_yet_valid' },
    { why: 'the serial number 0', overrides: () => ({ serial: Buffer.from([0]) }), want: 'issuer_serial' },
    { why: 'the version 1', overrides: () => ({ version: 1 }), want: 'issuer_version' },
    { why: 'an RSA key of 1024 bits', overrides: () => ({ publicKey: rsa(1024) }), want: 'issuer_weak_key' },
    { why: "the domain's SPIFFE ID", overrides: names('spiffe://a.test'), want: true },
    { why: "the domain's SPIFFE ID with a slash", overrides: names('spiffe://a.test/'), want: true },
    { why: 'a SPIFFE ID with a path', overrides: names('spiffe://a.test/ca'), want: 'issuer_id' },
    { why: 'a broken SPIFFE ID', overrides: names('spiffe://A.test'), want: 'issuer_id' },
    { why: 'two URI names', overrides: names('spiffe://a.test', 'https://a.test'), want: 'issuer_uri_san_multiple' },
    { why: 'a web address', overrides: names('https://a.test/ca'), want: true },
    { why: 'a permitted parent domain', overrides: add(write.nameConstraints(['.test'], [])), want: true },
    { why: 'a permitted domain below ours', overrides: add(write.nameConstraints(['.a.test'], [])), want: 'name_constraint' },
    { why: 'our domain in upper case', overrides: add(write.nameConstraints(['A.TEST'], [])), want: true },
    { why: 'our domain excluded', overrides: add(write.nameConstraints([], ['a.test'])), want: 'name_constraint' },
    { why: 'another domain excluded', overrides: add(write.nameConstraints([], ['b.test'])), want: true },
    { why: 'constraints on DNS names', overrides: add(dnsConstraint()), want: 'name_constraint_unsupported' },
    {
      why: 'constraints that are not critical',
      overrides: add({ ...write.nameConstraints(['a.test'], []), isCritical: false }),
      want: 'name_constraint_unsupported',
    },
  ])('judges an intermediate with $why', ({ overrides, want }) => {
    expect(verdict(verifySvid(leaf(below(root, 'one', overrides)).chain, bundles, { atMs }))).toBe(want);
  });

  test.each<{ why: string; overrides: Overrides; want: true | string }>([
    { why: 'no key usage', overrides: drop(EXTENSION.keyUsage), want: true },
    { why: 'a key usage without keyCertSign', overrides: swap(write.keyUsage(KEY_USAGE.cRLSign)), want: 'issuer_key_cert_sign' },
    { why: 'no basic constraints', overrides: drop(EXTENSION.basicConstraints), want: 'issuer_not_ca' },
    { why: 'an end in the past', overrides: () => ({ notAfterMs: atMs - 1000 }), want: 'issuer_expired' },
    { why: 'the serial number 0', overrides: () => ({ serial: Buffer.from([0]) }), want: true },
    { why: 'a path length that is used up', overrides: swap(write.basicConstraints(true, 0)), want: 'path_length' },
  ])('judges an anchor with $why', ({ overrides, want }) => {
    const anchor = createRoot({ trustDomain: 'a.test', atMs, lifetimeMs: DAY_MS, overrides });
    expect(verdict(verifySvid(leaf(below(anchor)).chain, bundlesOf(anchor), { atMs }))).toBe(want);
  });

  test.each([
    { when: 'at its end', offset: 0, want: true },
    { when: 'a millisecond after its end', offset: 1, want: 'issuer_expired' },
  ])('judges an intermediate $when', ({ offset, want }) => {
    const authority = below(root, 'one', () => ({ notAfterMs: atMs + 1000 }));
    expect(verdict(verifySvid(leaf(authority).chain, bundles, { atMs: atMs + 1000 + offset }))).toBe(want);
  });

  test.each([
    { uri: 'https://a.test', want: true },
    { uri: 'https://a.test/x', want: true },
    { uri: 'https://b.test/x', want: 'name_constraint' },
    { uri: 'https://a.test:443/x', want: 'name_constraint' },
    { uri: 'https://u@a.test/x', want: 'name_constraint' },
    { uri: 'urn:a.test', want: 'name_constraint' },
  ])('holds the URI name $uri of an authority against the constraint above it', ({ uri, want }) => {
    const constrained = below(root, 'one', add(write.nameConstraints(['a.test'], [])));
    expect(verdict(verifySvid(leaf(below(constrained, 'two', names(uri))).chain, bundles, { atMs }))).toBe(want);
  });

  test.each([
    { which: 'leaf', index: 0, want: 'weak_signature' },
    { which: 'intermediate', index: 1, want: 'issuer_weak_signature' },
  ])('refuses SHA-224 in the signature of the $which', ({ index, want }) => {
    // ecdsa-with-SHA256 and ecdsa-with-SHA224 differ in the last byte of their OID, which stands in two places.
    const [sha256, sha224] = [Buffer.from('06082a8648ce3d040302', 'hex'), Buffer.from('06082a8648ce3d040301', 'hex')];
    const chain = leaf(below(root)).chain.map((der) => Buffer.from(der));
    const bent = chain[index] ?? Buffer.alloc(0);
    for (let at = bent.indexOf(sha256); at >= 0; at = bent.indexOf(sha256)) sha224.copy(bent, at);
    expect(verdict(verifySvid(chain, bundles, { atMs }))).toBe(want);
  });

  test.each([
    { why: 'there is no bundle', trusted: new TrustBundles([], 0), want: 'bundle_missing' },
    { why: 'the bundle is empty', trusted: new TrustBundles([bundleOf('a.test', [])], 0), want: 'bundle_missing' },
    { why: "only another domain's bundle is there", trusted: bundlesOf(foreign), want: 'bundle_missing' },
  ])('refuses when $why', ({ trusted, want }) => {
    expect(verdict(verifySvid(leaf(root).chain, trusted, { atMs }))).toBe(want);
  });
});

function leaf(authority: Authority, overrides: Overrides = intact, spiffeId = ID): IssuedSvid {
  return issueSvid(authority, { spiffeId, atMs, lifetimeMs: HOUR_MS, overrides });
}

function below(parent: Authority, name = 'one', overrides: Overrides = intact): Authority {
  return createIntermediate(parent, { atMs, lifetimeMs: DAY_MS, name, overrides });
}

function tryLeaf(authority: Authority, overrides: Overrides): IssuedSvid | null {
  try {
    return leaf(authority, overrides);
  } catch {
    return null;
  }
}

function usages(...purposes: readonly (keyof typeof EXTENDED_KEY_USAGE)[]): Overrides {
  return swap(write.extKeyUsage(purposes.map((each) => EXTENDED_KEY_USAGE[each])));
}

function names(...uris: readonly string[]): Overrides {
  return add(write.subjectAltName(uris, [], false));
}

function dnsConstraint(): write.ExtensionFields {
  const value = toDer(sequence(contextOf(0, sequence(contextString(2, Buffer.from('a.test'))))));
  return { oid: EXTENSION.nameConstraints, isCritical: true, value };
}

function rsa(modulusLength: number) {
  return generateKeyPairSync('rsa', { modulusLength }).publicKey;
}

function ec(namedCurve: string) {
  return generateKeyPairSync('ec', { namedCurve }).publicKey;
}

function verdict(result: VerifyResult): true | string {
  return result.ok ? true : result.code;
}
