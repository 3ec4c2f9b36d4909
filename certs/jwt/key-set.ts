/**
 * An issuer's public keys (RFC 7517), taken one by one: what is no public signature key, too weak, or claims somebody else's name is
 * left out, and counted. Keys are looked up by their exact id.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { webcrypto } from 'node:crypto';

import { ALGORITHMS, type Algorithm } from './algorithms.ts';
import { jsonObject } from './compact-jws.ts';
import { rsaWeakness } from './rsa-weakness.ts';

export interface VerificationKey {
  readonly id: string | null;
  readonly key: KeyObject;
  /** What it may be used for. */
  readonly algorithms: readonly Algorithm[];
}

export interface KeySet {
  readonly keys: readonly VerificationKey[];
  /** Keys that were left out, with the reason. */
  readonly left: readonly string[];
}

/** The keys in the text of a JWKS; null when it is none, or has two keys of one id. */
export function readKeySet(text: string): KeySet | null {
  const set = jsonObject(Buffer.from(text, 'utf8'));
  const listed = set?.['keys'];
  if (!Array.isArray(listed) || listed.length > KEYS_MAX) return null;
  const keys: VerificationKey[] = [];
  const left: string[] = [];
  const ids = new Set<string>();
  for (const each of listed as unknown[]) {
    const key = readKey(each);
    if (typeof key === 'string') {
      left.push(key);
      continue;
    }
    // Which of two would be meant nobody knows.
    if (key.id !== null && ids.has(key.id)) return null;
    if (key.id !== null) ids.add(key.id);
    keys.push(key);
  }
  return { keys, left };
}

/** The keys that may have signed: the one of that id, or, where the token names none, all for the algorithm. */
export function candidates(set: KeySet, algorithm: Algorithm, keyId: string | null): readonly VerificationKey[] {
  const isFit = (key: VerificationKey): boolean => key.algorithms.includes(algorithm);
  if (keyId !== null) {
    const named = set.keys.find(({ id }) => id === keyId);
    if (named !== undefined) return isFit(named) ? [named] : [];
    // A set of a single key without an id is that key's whatever the token says.
    const [only] = set.keys;
    return set.keys.length === 1 && only !== undefined && only.id === null && isFit(only) ? [only] : [];
  }
  return set.keys.filter(isFit).slice(0, TRIED_MAX);
}

function readKey(value: unknown): VerificationKey | string {
  if (typeof value !== 'object' || value === null) return 'no object';
  const jwk = value as Record<string, unknown>; // an object has names and values; each is looked at before it is used
  const { alg, key_ops: operations, kid, use } = jwk;
  if (kid !== undefined && typeof kid !== 'string') return 'a kid that is no text';
  if (use !== undefined && use !== 'sig') return 'not for signatures';
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return 'not for verification';
  if (jwk['kty'] === 'oct') return 'symmetric';
  if (Object.hasOwn(jwk, 'd')) return 'a private key';
  let key: KeyObject;
  try {
    key = createPublicKey({ key: publicMembers(jwk), format: 'jwk' });
  } catch {
    return 'no key of a known type';
  }
  const { e, n } = jwk;
  const weakness = typeof n === 'string' && typeof e === 'string' ? rsaWeakness(n, e) : null;
  if (weakness !== null) return weakness;
  const fit = ALGORITHMS.filter((each) => each.fits(key));
  const algorithms = alg === undefined ? fit : fit.filter(({ name }) => name === alg);
  if (algorithms.length === 0) return 'too weak, or for another algorithm';
  return { id: kid ?? null, key, algorithms };
}

function publicMembers({ crv, e, kty, n, x, y }: Record<string, unknown>): webcrypto.JsonWebKey {
  const members = Object.entries({ crv, e, kty, n, x, y }).filter(([, value]) => typeof value === 'string');
  return Object.fromEntries(members); // createPublicKey says what is missing
}

const KEYS_MAX = 100;
/** Keys that are tried for a token without a `kid`. */
const TRIED_MAX = 8;
