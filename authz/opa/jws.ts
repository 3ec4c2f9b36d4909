/**
 * JSON Web Signatures in compact form (RFC 7515, 7518, 8037) by node:crypto: the check of one signature with one key, for bundles
 * and for `io.jwt.*`. It reads no claims. INVARIANT: a key is used with the algorithms of its own kind only, so that no public key
 * is ever taken for a shared secret.
 */
import { constants, createHmac, createPublicKey, createSecretKey, timingSafeEqual, verify } from 'node:crypto';
import type { KeyObject, webcrypto } from 'node:crypto';

import { RegoObject, isArray } from './value.ts';
import type { RegoValue } from './value.ts';
import { parseJson, toJson } from './json.ts';

export const JWS_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'HS256',
  'HS384',
  'HS512',
  'EdDSA',
] as const;

export type JwsAlgorithm = (typeof JWS_ALGORITHMS)[number];

/** A key that signatures are checked with. */
export interface VerificationKey {
  readonly key: KeyObject;
  /** What the key's document says it is for, or null. */
  readonly algorithm: string | null;
  readonly id: string | null;
}

export function isJwsAlgorithm(name: string): name is JwsAlgorithm {
  return JWS_ALGORITHMS.some((known) => known === name);
}

/** Whether `signature` over `signed` was made with the key by the algorithm. Never throws. */
export function verifyJws(algorithm: string, key: KeyObject, signed: string, signature: Uint8Array): boolean {
  if (!isJwsAlgorithm(algorithm)) return false;
  const hash = `sha${algorithm.slice(2)}`;
  try {
    switch (algorithm.slice(0, 2)) {
      case 'HS': {
        if (key.type !== 'secret') return false;
        const wanted = createHmac(hash, key).update(signed).digest();
        return wanted.length === signature.length && timingSafeEqual(wanted, signature);
      }
      case 'RS':
        return key.asymmetricKeyType === 'rsa' && verify(hash, Buffer.from(signed), key, signature);
      case 'PS':
        return key.asymmetricKeyType === 'rsa' && verifyPss(hash, key, signed, signature);
      case 'ES':
        return verifyEcdsa(algorithm, hash, key, signed, signature);
      default:
        return key.asymmetricKeyType === 'ed25519' && verify(null, Buffer.from(signed), key, signature);
    }
  } catch {
    return false;
  }
}

/** Keys of one PEM block (public key or certificate) or of a JWK or JWK set; null for anything else. */
export function readVerificationKeys(text: string): readonly VerificationKey[] | null {
  const trimmed = text.trim();
  if (trimmed.startsWith('-----BEGIN ')) {
    const key = readPem(trimmed);
    return key === null ? null : [{ key, algorithm: null, id: null }];
  }
  const reading = parseJson(trimmed);
  if (!reading.ok || !(reading.value instanceof RegoObject)) return null;
  const set = reading.value.find('keys');
  const documents = set === undefined ? [reading.value] : isArray(set) ? set : null;
  return documents === null ? null : readJwks(documents);
}

/** A secret for HS*. */
export function secretKey(secret: string): KeyObject {
  return createSecretKey(Buffer.from(secret));
}

function readPem(text: string): KeyObject | null {
  if (!/^-----BEGIN (?:PUBLIC KEY|RSA PUBLIC KEY|CERTIFICATE)-----[^-]*-----END [A-Z ]+-----$/u.test(text)) return null;
  try {
    return createPublicKey(text);
  } catch {
    return null;
  }
}

/** A set with one key that cannot be read is no set: which one would be left out is not for us to choose. */
function readJwks(documents: readonly RegoValue[]): readonly VerificationKey[] | null {
  const keys: VerificationKey[] = [];
  for (const document of documents) {
    if (!(document instanceof RegoObject)) return null;
    const [algorithm, id] = [document.find('alg'), document.find('kid')];
    if (typeof algorithm === 'string' && !isJwsAlgorithm(algorithm)) continue;
    const key = readJwk(document);
    if (key === null) return null;
    keys.push({
      key,
      algorithm: typeof algorithm === 'string' ? algorithm : null,
      id: typeof id === 'string' ? id : null,
    });
  }
  return keys;
}

function readJwk(document: RegoObject): KeyObject | null {
  try {
    const secret = document.find('k');
    if (document.find('kty') === 'oct') {
      return typeof secret === 'string' ? createSecretKey(Buffer.from(secret, 'base64url')) : null;
    }
    // A JWK is what its members say; node refuses what is none.
    const jwk = JSON.parse(toJson(document)) as webcrypto.JsonWebKey;
    return createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    return null;
  }
}

function verifyPss(hash: string, key: KeyObject, signed: string, signature: Uint8Array): boolean {
  const options = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO };
  return verify(hash, Buffer.from(signed), options, signature);
}

/** RFC 7518, section 3.4: an algorithm names its curve, and the signature is R and S at full length. */
function verifyEcdsa(algorithm: JwsAlgorithm, hash: string, key: KeyObject, signed: string, signature: Uint8Array): boolean {
  const curve = CURVES[algorithm];
  if (key.asymmetricKeyType !== 'ec' || curve === undefined) return false;
  if (key.asymmetricKeyDetails?.namedCurve !== curve.name || signature.length !== curve.bytes) return false;
  return verify(hash, Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }, signature);
}

const CURVES: Readonly<Partial<Record<JwsAlgorithm, { readonly name: string; readonly bytes: number }>>> = {
  ES256: { name: 'prime256v1', bytes: 64 },
  ES384: { name: 'secp384r1', bytes: 96 },
  ES512: { name: 'secp521r1', bytes: 132 },
};
