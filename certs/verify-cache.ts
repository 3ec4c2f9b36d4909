/**
 * Verification results by chain: in a mesh the same peers come again and again, and a chain costs 0.3 ms of CPU to verify. Only
 * acceptances are kept, for exactly as long as they hold: until the first certificate or revocation list of the path ends, and never
 * across a change of bundles. Peers choose the keys, therefore it is bounded; the least recently used leaves first.
 */
import { hash } from 'node:crypto';

import type { TrustBundles } from './trust-bundle.ts';
import { verifySvid } from './verify.ts';
import type { PeerIdentity, VerifyOptions, VerifyResult } from './verify.ts';

export interface VerifyCacheCounts {
  readonly hits: number;
  readonly misses: number;
  /** Entries that went because the cache was full. */
  readonly evictions: number;
}

/** `verifySvid` with a memory. One for each set of options; holds `PeerIdentity` objects, no certificates. */
export class VerifyCache {
  readonly #options: Omit<VerifyOptions, 'atMs'>;
  readonly #capacity: number;
  /** In order of last use. */
  readonly #entries = new Map<string, PeerIdentity>();
  #generation = -1;
  #hits = 0;
  #misses = 0;
  #evictions = 0;

  constructor(capacity = DEFAULT_CAPACITY, options: Omit<VerifyOptions, 'atMs'> = {}) {
    this.#capacity = capacity;
    this.#options = options;
  }

  get counts(): VerifyCacheCounts {
    return { hits: this.#hits, misses: this.#misses, evictions: this.#evictions };
  }

  get size(): number {
    return this.#entries.size;
  }

  /** As `verifySvid`; the same chain gets the same `PeerIdentity` object. `bundles.generation` must tell all bundles apart. */
  verify(chain: readonly Buffer[], bundles: TrustBundles, atMs: number): VerifyResult {
    if (bundles.generation !== this.#generation) {
      this.#entries.clear();
      this.#generation = bundles.generation;
    }
    const key = keyOf(chain);
    const known = this.#entries.get(key);
    if (known !== undefined) {
      this.#entries.delete(key);
      if (atMs >= known.notBeforeMs && atMs <= known.notAfterMs) {
        this.#entries.set(key, known);
        this.#hits++;
        return { ok: true, identity: known };
      }
    }
    this.#misses++;
    const result = verifySvid(chain, bundles, { ...this.#options, atMs });
    if (result.ok) this.#keep(key, result.identity);
    return result;
  }

  #keep(key: string, identity: PeerIdentity): void {
    if (this.#entries.size >= this.#capacity) {
      const [oldest] = this.#entries.keys();
      if (oldest !== undefined) this.#entries.delete(oldest);
      this.#evictions++;
    }
    this.#entries.set(key, identity);
  }
}

/** Hashes of leaf and of the rest: with another intermediate another path may be found, with another expiry. */
function keyOf(chain: readonly Buffer[]): string {
  let key = '';
  for (const der of chain) key += hash('sha256', der, 'base64url');
  return chain.length <= 2 ? key : hash('sha256', key, 'base64url');
}

/** About 1 kB each. */
const DEFAULT_CAPACITY = 4096;
