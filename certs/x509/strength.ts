/**
 * Which keys and signature algorithms are strong enough for an SVID chain: what TLS 1.3 peers sign with today (RFC 8446, section
 * 4.2.3), and nothing below 112 bits of security.
 */
import type { Certificate } from './certificate.ts';
import { publicKeyOf } from './signature.ts';

/** What is weak about the certificate's own key, in words; null if nothing is. */
export function keyStrengthFault(certificate: Certificate): string | null {
  const key = publicKeyOf(certificate);
  if (key === null) return 'of an unknown kind';
  const type: string = key.asymmetricKeyType ?? 'unknown';
  const details = key.asymmetricKeyDetails ?? {};
  switch (type) {
    case 'ec':
      return STRONG_CURVES.has(details.namedCurve ?? '') ? null : `on the curve ${details.namedCurve ?? 'unknown'}`;
    case 'rsa':
    case 'rsa-pss': {
      const bits = details.modulusLength ?? 0;
      return bits >= MIN_RSA_BITS ? null : `RSA of ${bits} bits, at least ${MIN_RSA_BITS} are wanted`;
    }
    case 'ed25519':
      return null;
    default:
      return `of the kind ${type}`;
  }
}

/** What is weak about the algorithm that the certificate is signed with, in words; null if nothing is. */
export function signatureStrengthFault(certificate: Certificate): string | null {
  return STRONG_SIGNATURES.has(certificate.signatureOid) ? null : `the algorithm ${certificate.signatureOid}`;
}

const MIN_RSA_BITS = 2048;
const STRONG_CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
const STRONG_SIGNATURES: ReadonlySet<string> = new Set([
  '1.2.840.10045.4.3.2', // ecdsa-with-SHA256
  '1.2.840.10045.4.3.3', // ecdsa-with-SHA384
  '1.2.840.10045.4.3.4', // ecdsa-with-SHA512
  '1.2.840.113549.1.1.11', // sha256WithRSAEncryption
  '1.2.840.113549.1.1.12', // sha384WithRSAEncryption
  '1.2.840.113549.1.1.13', // sha512WithRSAEncryption
  '1.2.840.113549.1.1.10', // RSASSA-PSS
  '1.3.101.112', // Ed25519
]);
