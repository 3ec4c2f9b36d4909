/** Keys of bundles: Ed25519 (RFC 8032), named by the SHA-256 of their SubjectPublicKeyInfo. */
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import { PosternError } from '#base/error.ts';

export interface BundleVerificationKey {
  /** In hex. */
  readonly id: string;
  readonly key: KeyObject;
}

/**
 * @param pem  a private key in PKCS #8
 * @throws {PosternError} `bundle_key`
 */
export function readSigningKey(pem: string): KeyObject {
  return checked(() => createPrivateKey(pem), 'private');
}

/**
 * @param pem  a public key, SubjectPublicKeyInfo
 * @throws {PosternError} `bundle_key`
 */
export function readVerificationKey(pem: string): BundleVerificationKey {
  // Node makes a public key of a private one, which has no place where bundles are only verified.
  return verificationKeyOf(checked(() => (pem.includes('PRIVATE KEY') ? null : createPublicKey(pem)), 'public'));
}

/** Of a public key, or of the public part of a private one. */
export function verificationKeyOf(given: KeyObject): BundleVerificationKey {
  const key = given.type === 'private' ? createPublicKey(given) : given;
  return {
    key,
    id: createHash('sha256')
      .update(key.export({ format: 'der', type: 'spki' }))
      .digest('hex'),
  };
}

function checked(read: () => KeyObject | null, kind: 'private' | 'public'): KeyObject {
  let key: KeyObject | null = null;
  try {
    key = read();
  } catch {
    // Told below.
  }
  if (key?.asymmetricKeyType === 'ed25519') return key;
  const found = key === null ? `no ${kind} key in PEM` : `a key of type ${key.asymmetricKeyType ?? key.type}`;
  const hint = 'Make one with "openssl genpkey -algorithm ed25519", and its public key with "openssl pkey -pubout"';
  throw new PosternError('bundle_key', `Cannot read the ${kind} key of bundles: found ${found}, wanted Ed25519`, hint);
}
