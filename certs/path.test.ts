import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { add, bundleOf, bundlesOf, drop, intact, swap } from '#test/support/authority.ts';

import { createIntermediate, createRoot, issueSvid } from './authority/authority.ts';
import type { Authority, IssuedSvid, Overrides } from './authority/authority.ts';
import { TrustBundles } from './trust-bundle.ts';
import { DEFAULT_MAX_DEPTH, verifySvid } from './verify.ts';
import type { VerifyResult } from './verify.ts';
import { readRevocationList } from './x509/crl.ts';
import { EXTENSION } from './x509/extensions.ts';
import * as write from './x509/write.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const ID = 'spiffe://a.test/ns/prod/sa/web';
/** A whole second, as certificates have it. */
const atMs = Math.floor(Date.now() / 1000) * 1000;

const root = createRoot({ trustDomain: 'a.test', atMs, lifetimeMs: DAY_MS });
const foreign = createRoot({ trustDomain: 'b.test', atMs, lifetimeMs: DAY_MS });
const bundles = bundlesOf(root, foreign);

describe('the path to a bundle', () => {
  test.each([0, 1, 2, 3, 4, 5, 6])('with %i intermediates needs as much depth', (count) => {
    let authority = root;
    for (let index = 0; index < count; index++) authority = below(authority, `number ${index}`);
    const { chain } = leaf(authority);
    expect(verdict(verifySvid(chain, bundles, { atMs, maxDepth: count }))).toBe(true);
    if (count > 0) expect(verdict(verifySvid(chain, bundles, { atMs, maxDepth: count - 1 }))).toBe('path_too_deep');
    expect(verdict(verifySvid(chain, bundles, { atMs }))).toBe(count <= DEFAULT_MAX_DEPTH ? true : 'path_too_deep');
  });

  test('is found whatever the order, and whatever else was sent', () => {
    const [first, ...rest] = leaf(below(below(root, 'one'), 'two')).chain;
    if (first === undefined) throw new Error('no leaf');
    const noise = [foreign.certificate.der, below(foreign, 'three').certificate.der, root.certificate.der, first];
    expect(verdict(verifySvid([first, ...noise, ...rest.toReversed()], bundles, { atMs }))).toBe(true);
  });

  test('lacks its issuer, whatever else was sent', () => {
    const [first] = leaf(below(root, 'one')).chain;
    const noise = [foreign.certificate.der, below(foreign, 'three').certificate.der, below(root, 'four').certificate.der];
    expect(verdict(verifySvid([first ?? Buffer.alloc(0), ...noise], bundles, { atMs }))).toBe('issuer_missing');
  });

  test('never leads to a root that the peer brought', () => {
    const forged = createRoot({ trustDomain: 'a.test', atMs, lifetimeMs: DAY_MS });
    const { chain } = leaf(forged);
    expect(verdict(verifySvid([...chain, forged.certificate.der], bundles, { atMs }))).toBe('issuer_mismatch');
  });

  test('never leads to another domain, even where both roots have one name and leaves no key identifier', () => {
    const name = write.nameDer([['2.5.4.10', 'SPIRE']]);
    const named: Overrides = (fields) => ({ ...drop(EXTENSION.authorityKeyIdentifier)(fields), issuer: name, subject: name });
    const a = createRoot({ trustDomain: 'a.test', atMs, lifetimeMs: DAY_MS, overrides: named });
    const b = createRoot({ trustDomain: 'b.test', atMs, lifetimeMs: DAY_MS, overrides: named });
    const bare = drop(EXTENSION.authorityKeyIdentifier);
    const forgery = leaf(b, bare);
    expect(forgery.certificate.issuer.equals(leaf(a, bare).certificate.issuer)).toBe(true);
    for (const trusted of [bundlesOf(a, b), bundlesOf(b, a)]) {
      expect(verdict(verifySvid(leaf(a, bare).chain, trusted, { atMs }))).toBe(true);
      expect(verdict(verifySvid(forgery.chain, trusted, { atMs }))).toBe('foreign_issuer');
    }
  });

  test('is found among several anchors of one name', () => {
    const twin = createRoot({ trustDomain: 'a.test', atMs, lifetimeMs: DAY_MS });
    const trusted = new TrustBundles([bundleOf('a.test', [root, twin])], 0);
    for (const authority of [root, twin]) {
      expect(verdict(verifySvid(leaf(authority, drop(EXTENSION.authorityKeyIdentifier)).chain, trusted, { atMs }))).toBe(true);
    }
  });

  test('ends after 24 signature checks', () => {
    // Nine certificates of one name and one key, each of which signed every other: without a bound, 3,024 paths of length four.
    const bare = drop(EXTENSION.authorityKeyIdentifier, EXTENSION.subjectKeyIdentifier);
    const base = below(root, 'same', bare);
    const twin: Overrides = (fields) => ({
      ...bare(fields),
      issuer: fields.subject,
      publicKey: base.certificate.x509.publicKey,
      signer: base.key,
    });
    const twins = Array.from({ length: 9 }, () => below(root, 'same', twin).certificate.der);
    const before = process.cpuUsage();
    const result = verifySvid([leaf(base, bare).certificate.der, ...twins], bundles, { atMs });
    const spent = process.cpuUsage(before);
    expect(verdict(result)).toBe('signature_budget');
    expect((spent.user + spent.system) / 1000).toBeLessThan(100);
  });

  test('does not count self-issued authorities against the path length', () => {
    const short = below(root, 'short', swap(write.basicConstraints(true, 0)));
    const rolled = below(short, 'short');
    expect(rolled.certificate.issuer.equals(rolled.certificate.subject)).toBe(true);
    expect(verdict(verifySvid(leaf(rolled).chain, bundles, { atMs }))).toBe(true);
    expect(verdict(verifySvid(leaf(below(short, 'other')).chain, bundles, { atMs }))).toBe('path_length');
  });

  test('a constraint on the names below a domain does not hold for the bare suffix', () => {
    // `.test` is a valid trust domain; it is not below `.test`.
    const dotted = createRoot({ trustDomain: '.test', atMs, lifetimeMs: DAY_MS });
    const constrained = below(dotted, 'one', add(write.nameConstraints(['.test'], [])));
    const { chain } = leaf(constrained, intact, 'spiffe://.test/x');
    expect(verdict(verifySvid(chain, bundlesOf(dotted), { atMs }))).toBe('name_constraint');
  });

  test('takes key identifiers for what they say', () => {
    const twin = createRoot({ trustDomain: 'a.test', atMs, lifetimeMs: DAY_MS });
    const misled = leaf(root, swap(write.authorityKeyIdentifier(twin.certificate.x509.publicKey)));
    expect(verdict(verifySvid(misled.chain, bundles, { atMs }))).toBe('issuer_mismatch');
  });
});

describe('hostile bytes', () => {
  const { chain } = leaf(below(root));
  const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = chain;

  test('never throw and are never accepted, wherever a byte is changed', () => {
    for (const [index, whole] of [first, second].entries()) {
      for (let at = 0; at < whole.length; at++) {
        const bent = Buffer.from(whole);
        bent[at] = (bent[at] ?? 0) ^ (1 << (at % 8));
        const result = verifySvid(index === 0 ? [bent, second] : [first, bent], bundles, { atMs });
        expect(result.ok, `byte ${at} of certificate ${index}`).toBe(false);
      }
    }
  });

  test('never throw, cut, filled up or made up', () => {
    const any = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((each) => Buffer.from(each)),
      fc.nat(first.length - 1).map((length) => first.subarray(0, length)),
      fc.tuple(fc.nat(first.length - 1), fc.uint8Array({ minLength: 1, maxLength: 4 })).map(([at, bytes]) => {
        return Buffer.concat([first.subarray(0, at), bytes, first.subarray(at)]);
      }),
    );
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 3 }), (raw) => {
        expect(verifySvid(raw, bundles, { atMs }).ok).toBe(false);
        expect(readRevocationList(raw[0] ?? first).ok).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});

function leaf(authority: Authority, overrides: Overrides = intact, spiffeId = ID): IssuedSvid {
  return issueSvid(authority, { spiffeId, atMs, lifetimeMs: HOUR_MS, overrides });
}

function below(parent: Authority, name = 'one', overrides: Overrides = intact): Authority {
  return createIntermediate(parent, { atMs, lifetimeMs: DAY_MS, name, overrides });
}

function verdict(result: VerifyResult): true | string {
  return result.ok ? true : result.code;
}
