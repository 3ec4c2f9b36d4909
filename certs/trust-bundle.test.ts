import { describe, expect, test } from 'vitest';

import { createRoot } from './authority/authority.ts';
import { makeTrustBundle, parseTrustBundle, TrustBundles } from './trust-bundle.ts';
import type { TrustBundle, TrustBundleResult } from './trust-bundle.ts';

const atMs = Date.now();
const one = createRoot({ trustDomain: 'a.test', atMs, lifetimeMs: 3_600_000 });
const two = createRoot({ trustDomain: 'a.test', atMs, lifetimeMs: 3_600_000 });
const x5c = (...roots: readonly (typeof one)[]): string[] => roots.map((each) => each.certificate.der.toString('base64'));

describe('parseTrustBundle()', () => {
  test('reads PEM, drops what is there twice, and writes PEM again', () => {
    const bundle = parsed(parseTrustBundle('a.test', `# roots\n${one.bundlePem}\n${two.bundlePem}${one.bundlePem}`));
    expect(bundle.anchors.map((each) => each.fingerprint)).toEqual([one.certificate.fingerprint, two.certificate.fingerprint]);
    expect(bundle.pem).toBe(one.bundlePem + two.bundlePem);
    expect(bundle.refreshHintS).toBeNull();
  });

  test('reads a SPIFFE JWKS and takes from it what is for X.509', () => {
    const document = {
      keys: [
        { use: 'x509-svid', kty: 'EC', x5c: x5c(one, two) },
        { use: 'jwt-svid', kty: 'EC', kid: 'k' },
        { use: 'x509-svid', kty: 'EC' },
        { use: 'x509-svid', kty: 'EC', x5c: [] },
        { use: 'of-the-future', kty: 'new' },
        { kty: 'EC' },
      ],
      spiffe_refresh_hint: 60,
      spiffe_sequence: 7,
    };
    const bundle = parsed(parseTrustBundle('a.test', JSON.stringify(document)));
    // X509-SVID 6.2: all values of x5c but the first are ignored, and so is an entry without.
    expect(bundle.anchors.map((each) => each.fingerprint)).toEqual([one.certificate.fingerprint]);
    expect(bundle).toMatchObject({ refreshHintS: 60, sequence: 7 });
  });

  test.each([
    { why: 'an empty file', document: '' },
    { why: 'a JWKS without X.509 keys', document: '{"keys":[]}' },
  ])('reads $why as an empty bundle', ({ document }) => {
    expect(parsed(parseTrustBundle('a.test', document)).anchors).toEqual([]);
  });

  test.each([
    { why: 'text', document: 'hello', code: 'bundle_not_pem' },
    { why: 'a private key', document: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----', code: 'bundle_not_pem' },
    { why: 'a cut PEM block', document: one.bundlePem.slice(0, 200), code: 'bundle_not_pem' },
    { why: 'a PEM block with stray characters', document: one.bundlePem.replace('MII', 'M*I'), code: 'bundle_not_pem' },
    {
      why: 'a PEM block that holds no certificate',
      document: '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----',
      code: 'bundle_certificate',
    },
    { why: 'half a JSON object', document: '{"keys":[', code: 'bundle_json' },
    { why: 'no keys', document: '{"spiffe_sequence":1}', code: 'bundle_keys' },
    { why: 'keys that are no list', document: '{"keys":{}}', code: 'bundle_keys' },
    { why: 'a key that is no object', document: '{"keys":[1]}', code: 'bundle_keys' },
    { why: 'a jwt-svid key without kid', document: '{"keys":[{"use":"jwt-svid","kty":"EC"}]}', code: 'bundle_key_id' },
    { why: 'an x5c that is no list', document: '{"keys":[{"use":"x509-svid","x5c":"MAA="}]}', code: 'bundle_certificate' },
    { why: 'an x5c in base64url', document: '{"keys":[{"use":"x509-svid","x5c":["-_-_"]}]}', code: 'bundle_certificate' },
    {
      why: 'an x5c that is no certificate',
      document: '{"keys":[{"use":"x509-svid","x5c":["MAA="]}]}',
      code: 'bundle_certificate',
    },
    { why: 'a member that is there twice', document: '{"keys":[],"keys":[]}', code: 'bundle_repeated_member' },
    { why: 'a negative sequence', document: '{"keys":[],"spiffe_sequence":-1}', code: 'bundle_number' },
    { why: 'a refresh hint in words', document: '{"keys":[],"spiffe_refresh_hint":"60"}', code: 'bundle_number' },
    { why: 'a huge file', document: ' '.repeat(1_048_577), code: 'bundle_too_large' },
  ])('refuses $why', ({ document, code }) => {
    expect(parseTrustBundle('a.test', document)).toMatchObject({ ok: false, code });
  });

  test('refuses a trust domain that is none', () => {
    expect(parseTrustBundle('A.test', one.bundlePem)).toMatchObject({ ok: false, code: 'trust_domain' });
  });
});

describe('makeTrustBundle()', () => {
  test('gives the same content the same digest, and another domain another', () => {
    const digest = (domain: string, ...roots: readonly (typeof one)[]): string =>
      parsed(
        makeTrustBundle(
          domain,
          roots.map((each) => each.certificate),
        ),
      ).digest;
    expect(digest('a.test', one, two)).toBe(digest('a.test', one, two));
    expect(digest('a.test', one)).not.toBe(digest('a.test', one, two));
    expect(digest('a.test', one)).not.toBe(digest('b.test', one));
  });
});

describe('TrustBundles', () => {
  test('keeps each bundle under its own trust domain', () => {
    const a = parsed(parseTrustBundle('a.test', one.bundlePem));
    const b = parsed(parseTrustBundle('b.test', two.bundlePem));
    const bundles = new TrustBundles([a, b], 3);
    expect(bundles.generation).toBe(3);
    expect(bundles.of('a.test')).toBe(a);
    expect(bundles.of('b.test')).toBe(b);
    expect(bundles.of('c.test')).toBeNull();
    expect(bundles.trustDomains).toEqual(['a.test', 'b.test']);
  });
});

function parsed(result: TrustBundleResult): TrustBundle {
  if (!result.ok) throw new Error(result.message);
  return result.bundle;
}
