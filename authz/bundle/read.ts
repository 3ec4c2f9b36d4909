/**
 * A bundle's bytes -> the compiled policy, if it may be loaded: by whom it was signed, for whom, when, and after which. Whoever
 * brings a bundle may bring anything: nothing here throws, and nothing is parsed before its signature is verified.
 */
import { verify } from 'node:crypto';

import type { CompiledPolicy } from '../plan/compiled.ts';
import type { BundleVerificationKey } from './keys.ts';
import { HEAD, MAGIC, MAX_BUNDLE_BYTES, VERSION, signedBytes } from './layout.ts';
import { parseManifest, workloadText } from './manifest.ts';
import type { BundleManifest, BundleWorkload } from './manifest.ts';
import { parsePolicyText } from './policy-text.ts';
import { digestOf } from './write.ts';

export interface BundleExpectation {
  /** Of signers; a bundle of anybody else is refused. */
  readonly keys: readonly BundleVerificationKey[];
  readonly workload: BundleWorkload;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  /** The last bundle that was loaded; null for none. */
  readonly last: LoadedBundle | null;
  /** It ends so long after its beginning, whatever it says itself; left out for no such bound. */
  readonly maxAgeMs?: number;
}

/** What is remembered of a bundle, so that no older one follows it. */
export type LoadedBundle = Pick<BundleManifest, 'revision' | 'digest'>;

export type BundleVerdict =
  | {
      readonly ok: true;
      readonly manifest: BundleManifest;
      readonly policy: CompiledPolicy;
      readonly keyId: string;
      /** When it ends, milliseconds since 1970: by what it says, or by its age. */
      readonly expiresMs: number;
    }
  /** `manifest` only of a bundle whose signature, digest and workload are right. */
  | { readonly ok: false; readonly code: BundleRefusal; readonly manifest: BundleManifest | null };

export function readBundle(bytes: Uint8Array, expectation: BundleExpectation): BundleVerdict {
  const { keys, last, maxAgeMs = Infinity, nowMs, workload } = expectation;
  if (bytes.length > MAX_BUNDLE_BYTES) return refuse('bundle_size');
  const bundle = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bundle.length < HEAD.parts || !bundle.subarray(0, MAGIC.length).equals(MAGIC)) return refuse('bundle_format');
  if (bundle.readUInt32BE(HEAD.version) !== VERSION) return refuse('bundle_version');
  const parts = partsOf(bundle);
  if (parts === null) return refuse('bundle_format');
  const keyId = bundle.toString('hex', HEAD.keyId, HEAD.signature);
  const signer = keys.find(({ id }) => id === keyId);
  if (signer === undefined) return refuse('bundle_signer_unknown');
  if (!verify(null, signedBytes(bundle), signer.key, bundle.subarray(HEAD.signature, HEAD.parts))) {
    return refuse('bundle_signature');
  }
  const [first, facts, wasm, model] = parts;
  const manifest = parseManifest(first.toString('utf8'));
  if (manifest === null) return refuse('bundle_manifest');
  if (digestOf([facts, wasm, model]) !== manifest.digest) return refuse('bundle_digest');
  if (workloadText(manifest.workload) !== workloadText(workload)) return refuse('bundle_workload');
  const expiresMs = Math.min(manifest.expires, manifest.notBefore + maxAgeMs);
  if (nowMs < manifest.notBefore) return refuse('bundle_not_yet_valid', manifest);
  if (nowMs >= expiresMs) return refuse('bundle_expired', manifest);
  if (last !== null && manifest.revision < last.revision) return refuse('bundle_downgrade', manifest);
  if (last !== null && manifest.revision === last.revision && manifest.digest !== last.digest)
    return refuse('bundle_revision_reused', manifest);
  const read = parsePolicyText(facts.toString('utf8'));
  if (read === null || read.revision !== manifest.policyRevision) return refuse('bundle_policy', manifest);
  // Copies: a view would keep the whole file in memory.
  const policy = { ...read, wasm: new Uint8Array(wasm), model: new Uint8Array(model) };
  return { ok: true, manifest, policy, keyId, expiresMs };
}

type Parts = readonly [manifest: Buffer, facts: Buffer, wasm: Buffer, model: Buffer];

/** Null unless they fill the file to its last byte. */
function partsOf(bundle: Buffer): Parts | null {
  let at: number = HEAD.parts;
  const next = (index: number): Buffer => {
    const from = at;
    at += bundle.readUInt32BE(HEAD.lengths + 4 * index);
    return bundle.subarray(from, at);
  };
  const parts: Parts = [next(0), next(1), next(2), next(3)];
  return at === bundle.length ? parts : null;
}

function refuse(code: BundleRefusal, manifest: BundleManifest | null = null): BundleVerdict {
  return { ok: false, code, manifest };
}

/**
 * Why a bundle is not loaded, in the order of the checks. The text may change, the code may not. The first three and the last are
 * found by whoever brings the bytes and tries the policy.
 */
export const BUNDLE_REFUSALS = {
  bundle_unreadable: 'Its file is missing or cannot be read.',
  bundle_key: 'A file of `keys` holds no public key of Ed25519.',
  bundle_state: 'What was kept of former bundles cannot be believed, so that a downgrade would go unseen.',
  bundle_size: 'It is larger than 64 MiB.',
  bundle_format: 'It does not begin as a bundle does, or its parts do not fill it.',
  bundle_version: 'Its format is of another version.',
  bundle_signer_unknown: 'It was signed with a key that is not configured.',
  bundle_signature: 'Its signature does not verify.',
  bundle_manifest: 'Its manifest is not one that a compiler writes.',
  bundle_digest: 'Its content has another digest than its manifest says.',
  bundle_workload: 'It was compiled for another workload or trust domain.',
  bundle_not_yet_valid: 'It is not in force yet.',
  bundle_expired: 'It has expired.',
  bundle_downgrade: 'A later revision was loaded before.',
  bundle_revision_reused: 'Another bundle of the same revision was loaded before.',
  bundle_policy: 'Its policy is not one that a compiler writes.',
  bundle_selftest: 'Its module does not load, or decides otherwise than the policies in it.',
} as const;

export type BundleRefusal = keyof typeof BUNDLE_REFUSALS;
