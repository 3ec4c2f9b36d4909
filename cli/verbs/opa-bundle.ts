/** What the verbs of `postern opa` share: the bundle from its file, with the keys that it may be signed with. */
import { readFileSync } from 'node:fs';

import { readBundle } from '#authz/opa/bundle/bundle.ts';
import type { Bundle } from '#authz/opa/bundle/bundle.ts';
import type { BundleVerification } from '#authz/opa/bundle/signature.ts';
import { DEFAULT_BUNDLE_LIMITS } from '#authz/opa/limits.ts';
import { PosternError } from '#base/error.ts';

import { EXIT, ExitError } from '../exit.ts';
import { reasonOf } from '../file-error.ts';

export interface OpaBundleOptions {
  readonly bundle: string;
  /** PEM of a public key, or a secret; null takes the bundle unverified. */
  readonly verificationKey: string | null;
  readonly verificationKeyId: string;
  readonly signingAlg: string;
  readonly scope: string | null;
}

/** Reads and verifies a bundle; what is wrong with it ends the command with 65. */
export function openBundle(options: OpaBundleOptions): Bundle {
  const archive = readGiven(options.bundle, 'the bundle');
  return orData(() =>
    readBundle(archive, { limits: DEFAULT_BUNDLE_LIMITS, verification: verificationOf(options), nowSeconds: Date.now() / 1000 }),
  );
}

/** Runs what judges a bundle. */
export function orData<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof PosternError) throw new ExitError(EXIT.data, `${error.message} [${error.code}]`, error.hint);
    throw error;
  }
}

function verificationOf(options: OpaBundleOptions): BundleVerification | 'unsigned' {
  const { scope, signingAlg: algorithm, verificationKey, verificationKeyId } = options;
  if (verificationKey === null) return 'unsigned';
  const key = readGiven(verificationKey, 'the key').toString('utf8');
  const text = algorithm.startsWith('HS') ? key.trim() : key;
  return {
    keys: new Map([[verificationKeyId, { key: text, algorithm }]]),
    keyId: verificationKeyId,
    ...(scope === null ? {} : { scope }),
  };
}

function readGiven(file: string, what: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new ExitError(EXIT.data, `Cannot read ${what} "${file}": found ${reasonOf(error)}`);
  }
}
