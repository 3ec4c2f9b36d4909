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
  readonly last: Pick<BundleManifest, 'revision' | 'digest'> | null;
}

export type BundleVerdict =
  | { readonly ok: true; readonly manifest: BundleManifest; readonly policy: CompiledPolicy; readonly keyId: string }
  | { readonly ok: false; readonly code: BundleRefusal };

export function readBundle(bytes: Uint8Array, { keys, last, nowMs, workload }: BundleExpectation): BundleVerdict {
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
  if (nowMs < manifest.notBefore) return refuse('bundle_not_yet_valid');
  if (nowMs >= manifest.expires) return refuse('bundle_expired');
  if (last !== null && manifest.revision < last.revision) return refuse('bundle_downgrade');
  if (last !== null && manifest.revision === last.revision && manifest.digest !== last.digest)
    return refuse('bundle_revision_reused');
  const read = parsePolicyText(facts.toString('utf8'));
  if (read === null || read.revision !== manifest.policyRevision) return refuse('bundle_policy');
  // Copies: a view would keep the whole file in memory.
  const policy = { ...read, wasm: new Uint8Array(wasm), model: new Uint8Array(model) };
  return { ok: true, manifest, policy, keyId };
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

function refuse(code: BundleRefusal): BundleVerdict {
  return { ok: false, code };
}

/** Why a bundle is not loaded, in the order of the checks. The text may change, the code may not. */
export const BUNDLE_REFUSALS = {
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
} as const;

export type BundleRefusal = keyof typeof BUNDLE_REFUSALS;
