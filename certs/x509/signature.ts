/**
 * Signatures of certificates and revocation lists, always by OpenSSL through `node:crypto`; node-forge's verification is never used
 * (CVE-2026-33896, CVE-2026-33894).
 */
import { verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import type { Certificate } from './certificate.ts';

/** The certificate's public key, made once; null when OpenSSL does not know its kind. */
export function publicKeyOf(certificate: Certificate): KeyObject | null {
  const known = KEYS.get(certificate);
  if (known !== undefined) return known;
  const key = readPublicKey(certificate);
  KEYS.set(certificate, key);
  return key;
}

/** Whether `issuer`'s key made the signature of `subject`. */
export function isSignedBy(subject: Certificate, issuer: Certificate): boolean {
  const key = publicKeyOf(issuer);
  try {
    return key !== null && subject.x509.verify(key);
  } catch {
    // OpenSSL raises for an algorithm that it does not know, or one that the key cannot have made.
    return false;
  }
}

/** Whether `issuer`'s key made a signature over bytes other than a certificate's, by the algorithm of this OID. */
export function isBytesSignedBy(issuer: Certificate, algorithmOid: string, bytes: Buffer, signature: Buffer): boolean {
  const key = publicKeyOf(issuer);
  const algorithm = ALGORITHMS[algorithmOid];
  if (key === null || algorithm === undefined || key.asymmetricKeyType !== algorithm.keyType) return false;
  try {
    return verify(algorithm.digest, bytes, key, signature);
  } catch {
    return false;
  }
}

function readPublicKey(certificate: Certificate): KeyObject | null {
  try {
    return certificate.x509.publicKey;
  } catch {
    return null;
  }
}

/** Lives and dies with the certificates; bounded by them. */
const KEYS = new WeakMap<Certificate, KeyObject | null>();

const ALGORITHMS: Readonly<Record<string, { readonly keyType: string; readonly digest: string | null }>> = {
  '1.2.840.10045.4.3.2': { keyType: 'ec', digest: 'sha256' },
  '1.2.840.10045.4.3.3': { keyType: 'ec', digest: 'sha384' },
  '1.2.840.10045.4.3.4': { keyType: 'ec', digest: 'sha512' },
  '1.2.840.113549.1.1.11': { keyType: 'rsa', digest: 'sha256' },
  '1.2.840.113549.1.1.12': { keyType: 'rsa', digest: 'sha384' },
  '1.2.840.113549.1.1.13': { keyType: 'rsa', digest: 'sha512' },
  '1.3.101.112': { keyType: 'ed25519', digest: null },
};
