/** The values of the metrics about tokens and key sets. */
import { Series, type Samples } from '../../report/samples.ts';
import type { KeyStore } from './key-store.ts';
import type { TokenCounts } from './proof-cache.ts';

export function tokenSamples({ hits, misses }: TokenCounts, keys: KeyStore): Samples {
  const tokens = new Series();
  const fetched = new Series();
  const failed = new Series();
  tokens.set({ result: 'cached' }, hits);
  tokens.set({ result: 'verified' }, misses);
  for (const { fault, fetchedMs, source } of keys.all) {
    fetched.set({ source }, fetchedMs / 1000);
    if (fault !== undefined && fault !== null) failed.set({ source, reason: fault }, 1);
  }
  return {
    postern_tokens_total: tokens.values,
    postern_key_set_fetched_timestamp_seconds: fetched.values,
    postern_key_set_failed: failed.values,
  };
}
