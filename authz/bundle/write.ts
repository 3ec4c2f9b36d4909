/** A compiled policy -> a signed bundle. */
import { createHash, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import { PosternError } from '#base/error.ts';

import type { CompiledPolicy } from '../plan/compiled.ts';
import { verificationKeyOf } from './keys.ts';
import { HEAD, MAGIC, MAX_BUNDLE_BYTES, VERSION, signedBytes } from './layout.ts';
import { manifestText, parseManifest } from './manifest.ts';
import type { BundleManifest } from './manifest.ts';
import { policyText } from './policy-text.ts';

export type BundleStatement = Pick<BundleManifest, 'revision' | 'notBefore' | 'expires' | 'workload'>;

/**
 * @param key  a private key, from `readSigningKey`
 * @throws {PosternError} `bundle_statement` for a revision or times that no reader takes, `bundle_size`
 */
export function writeBundle(policy: CompiledPolicy, statement: BundleStatement, key: KeyObject): Uint8Array {
  const { model, wasm, ...facts } = policy;
  const content = [Buffer.from(policyText(facts)), wasm, model];
  const manifest = manifestText({ ...statement, policyRevision: policy.revision, digest: digestOf(content) });
  if (parseManifest(manifest) === null) {
    const found = `revision ${statement.revision}, in force from ${statement.notBefore} to ${statement.expires}`;
    throw new PosternError(
      'bundle_statement',
      `Cannot write the bundle: found ${found}`,
      'A revision is at least 1, and a bundle ends after it begins',
    );
  }
  const parts = [Buffer.from(manifest), ...content];
  const head = Buffer.alloc(HEAD.parts);
  head.set(MAGIC, 0);
  head.writeUInt32BE(VERSION, HEAD.version);
  for (const [index, part] of parts.entries()) head.writeUInt32BE(part.length, HEAD.lengths + 4 * index);
  head.set(Buffer.from(verificationKeyOf(key).id, 'hex'), HEAD.keyId);
  const bundle = Buffer.concat([head, ...parts]);
  if (bundle.length > MAX_BUNDLE_BYTES) {
    throw new PosternError(
      'bundle_size',
      `Cannot write the bundle: found ${bundle.length} bytes, at most ${MAX_BUNDLE_BYTES} are read`,
    );
  }
  bundle.set(sign(null, signedBytes(bundle), key), HEAD.signature);
  return bundle;
}

/** `sha256:…` over policy, module and model. */
export function digestOf(content: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  // The signed head tells where one ends and the next begins.
  for (const part of content) hash.update(part);
  return `sha256:${hash.digest('hex')}`;
}
