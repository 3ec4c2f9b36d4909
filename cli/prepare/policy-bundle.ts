/**
 * Policies from a signed bundle: verified before anything of it is parsed, tried before it is put in force, and kept as the last
 * good one; where it is missing or refused, what was kept.
 *
 * INVARIANT: a revision is on disk before it is in force, unless it could not be written, which is told.
 */
import { randomInt } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';

import { readVerificationKey } from '#authz/bundle/keys.ts';
import type { BundleVerificationKey } from '#authz/bundle/keys.ts';
import { MAX_BUNDLE_BYTES } from '#authz/bundle/layout.ts';
import { BUNDLE_REFUSALS, readBundle } from '#authz/bundle/read.ts';
import type { BundleExpectation, BundleRefusal, BundleVerdict } from '#authz/bundle/read.ts';
import { selfTest } from '#authz/engine/self-test.ts';
import { PosternError } from '#base/error.ts';
import type { BundleConfig, ProxyConfig } from '#proto/config/proxy.ts';
import type { DocumentFault } from '#proto/prepare.ts';

import { reasonOf } from '../file-error.ts';
import { tokenRuleFaults } from '../token-rule-faults.ts';
import { BundleStore, NOTHING_KEPT } from './bundle-store.ts';
import type { PrepareOptions, PreparedPolicies } from './prepare.ts';
import { without } from './prepare.ts';
import { samplesFor } from './samples-for.ts';

type Accepted = BundleVerdict & { readonly ok: true };

export function prepareBundle(source: BundleConfig, config: ProxyConfig, options: PrepareOptions): PreparedPolicies {
  const { keys, faults: keyFaults } = readKeys(source.keys);
  if (keyFaults.length > 0) return without('invalid', keyFaults);
  const { identity, labels, namespace, policies, serviceAccount } = config;
  const trustDomains = [...new Set([identity.trustDomain, ...identity.trustDomainAliases])];
  const wanted: BundleExpectation = {
    keys,
    workload: { labels, namespace, serviceAccount, trustDomains },
    nowMs: options.nowMs,
    last: options.lastBundle,
    ...(source.maxAgeMs === 0 ? {} : { maxAgeMs: source.maxAgeMs }),
  };
  const store = policies.lastKnownGood === null || !options.keeps ? null : new BundleStore(policies.lastKnownGood, wanted);
  const kept = store?.read() ?? { ...NOTHING_KEPT, last: options.lastBundle };

  const read = readSource(source.file);
  if ('fault' in read) return fallBack(source, kept.copy, [read.fault, ...kept.faults], config);
  if (kept.isLost) return without('invalid', [refusal(source.file, 'bundle_state'), ...kept.faults]);
  const verdict = tried(readBundle(read.bytes, { ...wanted, last: kept.last }), config);
  if (!verdict.ok) {
    const faults = [refusal(source.file, verdict.code), ...kept.faults];
    const prepared = fallBack(source, kept.copy, faults, config);
    const begins = verdict.code === 'bundle_not_yet_valid' ? (verdict.manifest?.notBefore ?? null) : null;
    return begins === null ? prepared : { ...prepared, policyValidUntilMs: earlier(begins, prepared.policyValidUntilMs) };
  }
  const saved = store?.save(read.bytes, verdict.manifest) ?? { isReused: false, fault: null };
  if (saved.isReused)
    return fallBack(source, kept.copy, [refusal(source.file, 'bundle_revision_reused'), ...kept.faults], config);
  return inForce(verdict, false, saved.fault === null ? kept.faults : [...kept.faults, saved.fault]);
}

/** The copy that was kept, when it is good; else nothing. */
function fallBack(
  { file }: BundleConfig,
  copy: BundleVerdict | null,
  faults: readonly DocumentFault[],
  config: ProxyConfig,
): PreparedPolicies {
  if (copy !== null) {
    const verdict = tried(copy, config);
    if (verdict.ok) return inForce(verdict, true, faults);
    const isExpired = verdict.code === 'bundle_expired';
    return without(isExpired ? 'expired' : 'invalid', [...faults, refusal(file, verdict.code, 'the copy that was kept')]);
  }
  return without(faults[0]?.code === 'bundle_expired' ? 'expired' : 'invalid', faults);
}

function inForce(verdict: Accepted, isKeptCopy: boolean, faults: readonly DocumentFault[]): PreparedPolicies {
  const { expiresMs, keyId, manifest, policy } = verdict;
  const { digest, notBefore, revision } = manifest;
  return {
    ...without('ok', faults),
    policy,
    isKeptCopy,
    bundle: { revision, digest, keyId, notBeforeMs: notBefore },
    policyExpiresMs: expiresMs,
    policyValidUntilMs: expiresMs,
  };
}

/** A signer's compiler may be another one than ours: what it made is tried as our own would be. */
function tried(verdict: BundleVerdict, { policies }: ProxyConfig): BundleVerdict {
  if (!verdict.ok) return verdict;
  const { manifest, policy } = verdict;
  try {
    if (tokenRuleFaults(policy.jwtRules, { requestAuthentications: [] }).length > 0)
      return { ok: false, code: 'bundle_policy', manifest };
    const { whenNoneSelects } = policies;
    selfTest(policy, { samples: samplesFor(policy.ruleCount), seed: randomInt(2 ** 31), whenNoneSelects });
    return verdict;
  } catch {
    return { ok: false, code: 'bundle_selftest', manifest };
  }
}

function readKeys(files: readonly string[]): { keys: readonly BundleVerificationKey[]; faults: readonly DocumentFault[] } {
  const keys: BundleVerificationKey[] = [];
  const faults: DocumentFault[] = [];
  for (const file of files) {
    try {
      keys.push(readVerificationKey(readFileSync(file, 'utf8')));
    } catch (error) {
      const why = error instanceof PosternError ? error.message : `found ${reasonOf(error)}`;
      faults.push(refusal(file, 'bundle_key', why));
    }
  }
  return { keys, faults };
}

function readSource(file: string): { readonly bytes: Uint8Array } | { readonly fault: DocumentFault } {
  try {
    // A larger one is refused by its first bytes' length, without being read whole.
    if (statSync(file).size > MAX_BUNDLE_BYTES) return { fault: refusal(file, 'bundle_size') };
    return { bytes: readFileSync(file) };
  } catch (error) {
    return { fault: refusal(file, 'bundle_unreadable', `found ${reasonOf(error)}`) };
  }
}

function refusal(file: string, code: BundleRefusal, detail: string | null = null): DocumentFault {
  const message = `Cannot load the bundle: ${BUNDLE_REFUSALS[code]}${detail === null ? '' : ` (${detail})`}`;
  return { file, line: 0, column: 0, code, path: '', message, fix: null };
}

function earlier(one: number, other: number | null): number {
  return other === null ? one : Math.min(one, other);
}
