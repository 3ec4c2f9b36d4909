import { describe, expect, test } from 'vitest';

import { createRoot, issueSvid } from './authority/authority.ts';
import type { Authority } from './authority/authority.ts';
import { parseTrustBundle, TrustBundles } from './trust-bundle.ts';
import { VerifyCache } from './verify-cache.ts';

const HOUR_MS = 3_600_000;
const atMs = Math.floor(Date.now() / 1000) * 1000;
const root = createRoot({ trustDomain: 'a.test', atMs, lifetimeMs: 24 * HOUR_MS });
const bundles = bundlesOf(root, 1);

describe('VerifyCache', () => {
  test('gives the same chain the same identity object', () => {
    const cache = new VerifyCache();
    const chain = issue('web');
    const first = cache.verify(chain, bundles, atMs);
    const second = cache.verify(
      chain.map((der) => Buffer.from(der)),
      bundles,
      atMs + 1000,
    );
    expect(first.ok && second.ok && first.identity === second.identity).toBe(true);
    expect(cache.counts).toEqual({ hits: 1, misses: 1, evictions: 0 });
  });

  test('forgets at notAfter, and before notBefore', () => {
    const cache = new VerifyCache();
    const chain = issue('web');
    cache.verify(chain, bundles, atMs);
    expect(cache.verify(chain, bundles, atMs + HOUR_MS)).toMatchObject({ ok: true });
    expect(cache.verify(chain, bundles, atMs + HOUR_MS + 1)).toMatchObject({ ok: false, code: 'expired' });
    cache.verify(chain, bundles, atMs);
    const { hits } = cache.counts;
    expect(cache.verify(chain, bundles, atMs - 60_000)).toMatchObject({ ok: true });
    expect(cache.counts.hits).toBe(hits + 1);
    // A clock that was set back.
    expect(cache.verify(chain, bundles, atMs - 60_001)).toMatchObject({ ok: false, code: 'not_yet_valid' });
  });

  test('forgets everything when the bundles change', () => {
    const cache = new VerifyCache();
    const chain = issue('web');
    cache.verify(chain, bundles, atMs);
    const next = bundlesOf(createRoot({ trustDomain: 'a.test', atMs, lifetimeMs: HOUR_MS }), 2);
    expect(cache.verify(chain, next, atMs).ok).toBe(false);
    expect(cache.size).toBe(0);
  });

  test('does not remember refusals', () => {
    const cache = new VerifyCache();
    cache.verify([Buffer.from('junk')], bundles, atMs);
    cache.verify([], bundles, atMs);
    expect(cache.size).toBe(0);
    expect(cache.counts).toMatchObject({ hits: 0, misses: 2 });
  });

  test('tells chains apart by every certificate in them', () => {
    const cache = new VerifyCache();
    const [leaf = Buffer.alloc(0)] = issue('web');
    cache.verify([leaf], bundles, atMs);
    cache.verify([leaf, root.certificate.der], bundles, atMs);
    cache.verify([leaf, root.certificate.der, leaf], bundles, atMs);
    expect(cache.counts.hits).toBe(0);
    expect(cache.size).toBe(3);
  });

  test('holds no more than its capacity, and drops what was used least recently', () => {
    const cache = new VerifyCache(3);
    const chains = ['a', 'b', 'c', 'd'].map(issue);
    const [a = [], b = [], c = [], d = []] = chains;
    for (const chain of [a, b, c, a, d]) cache.verify(chain, bundles, atMs);
    expect(cache.size).toBe(3);
    expect(cache.counts).toEqual({ hits: 1, misses: 4, evictions: 1 });
    cache.verify(a, bundles, atMs);
    expect(cache.counts.hits).toBe(2);
    cache.verify(b, bundles, atMs);
    expect(cache.counts.hits).toBe(2);
  });
});

function issue(name: string): readonly Buffer[] {
  return issueSvid(root, { spiffeId: `spiffe://a.test/${name}`, atMs, lifetimeMs: HOUR_MS }).chain;
}

function bundlesOf(authority: Authority, generation: number): TrustBundles {
  const parsed = parseTrustBundle(authority.trustDomain, authority.bundlePem);
  if (!parsed.ok) throw new Error(parsed.message);
  return new TrustBundles([parsed.bundle], generation);
}
