/** The signature algorithms that a token may have (RFC 7518, section 3.1; RFC 8037; RFC 9864): asymmetric ones only. */
import { constants, verify, type KeyObject } from 'node:crypto';

export interface Algorithm {
  readonly name: string;
  /** Whether a key may be used with it. */
  fits(key: KeyObject): boolean;
  verify(key: KeyObject, signed: Buffer, signature: Buffer): boolean;
}

/** The algorithm of that exact name. */
export function algorithmOf(name: string): Algorithm | null {
  return ALGORITHMS.find((each) => each.name === name) ?? null;
}

export const ALGORITHMS: readonly Algorithm[] = [
  ...['256', '384', '512'].map((bits) => rsa(`RS${bits}`, `sha${bits}`, false)),
  ...['256', '384', '512'].map((bits) => rsa(`PS${bits}`, `sha${bits}`, true)),
  ecdsa('ES256', 'sha256', 'prime256v1', 64),
  ecdsa('ES384', 'sha384', 'secp384r1', 96),
  ecdsa('ES512', 'sha512', 'secp521r1', 132),
  ...['EdDSA', 'Ed25519'].map((name): Algorithm => ({
    name,
    fits: (key) => key.asymmetricKeyType === 'ed25519',
    verify: (key, signed, signature) => signature.length === 64 && verify(null, signed, key, signature),
  })),
];

function rsa(name: string, hash: string, isPss: boolean): Algorithm {
  const padding = isPss ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
  return {
    name,
    fits: (key) => key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= RSA_BITS_MIN,
    verify: (key, signed, signature) =>
      verify(hash, signed, isPss ? { key, padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST } : { key, padding }, signature),
  };
}

function ecdsa(name: string, hash: string, curve: string, signatureBytes: number): Algorithm {
  return {
    name,
    fits: (key) => key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === curve,
    // R and S side by side, each of the curve's size (RFC 7518, section 3.4).
    verify: (key, signed, signature) =>
      signature.length === signatureBytes && verify(hash, signed, { key, dsaEncoding: 'ieee-p1363' }, signature),
  };
}

/** RFC 7518, section 3.3. */
const RSA_BITS_MIN = 2_048;
