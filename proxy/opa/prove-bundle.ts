/** Reads an archive, verifies it and loads it once, so that only what can be asked is ever handed on. */
import { readFileSync } from 'node:fs';

import { readBundle } from '#authz/opa/bundle/bundle.ts';
import type { BundleVerification } from '#authz/opa/bundle/signature.ts';
import { DEFAULT_BUNDLE_LIMITS, type OpaLimits } from '#authz/opa/limits.ts';
import { chooseEntrypoint, loadProgram, policyOf } from '#authz/opa/load.ts';
import { PosternError } from '#base/error.ts';
import type { OpaAuthorizer, OpaVerification } from '#proto/config/authorizers.ts';
import type { ProvedPolicy } from './messages.ts';

/**
 * The key is read each time: it may have been replaced.
 *
 * @throws {PosternError} for everything that is wrong with it
 */
export function proveBundle(
  archive: Uint8Array,
  { entrypoint, verification }: OpaAuthorizer,
  limits: OpaLimits,
  nowMs: number,
): ProvedPolicy {
  const bundle = readBundle(archive, {
    limits: DEFAULT_BUNDLE_LIMITS,
    verification: verification === null ? 'unsigned' : verificationOf(verification),
    nowSeconds: nowMs / 1000,
  });
  return {
    policy: policyOf(bundle),
    entrypoint: chooseEntrypoint(loadProgram(bundle, limits), entrypoint),
    revision: bundle.manifest.revision,
    digest: bundle.digest,
    size: archive.length,
  };
}

/** @throws {PosternError} `opa_file` */
export function readNamed(file: string, what: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new PosternError('opa_file', `Cannot read ${what} "${file}": ${reason}`);
  }
}

function verificationOf({ algorithm, keyFile, keyId, scope }: OpaVerification): BundleVerification {
  const text = readNamed(keyFile, 'the key').toString('utf8');
  const key = algorithm.startsWith('HS') ? text.trim() : text;
  return { keys: new Map([[keyId, { key, algorithm }]]), keyId, ...(scope === null ? {} : { scope }) };
}
