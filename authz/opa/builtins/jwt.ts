/**
 * `io.jwt.*`: decoding, the check of a signature, and both with the claims. What a bad token gives is Rego's: undefined where it
 * has no form, false where it does not hold. Signing is not here.
 */
import type { KeyObject } from 'node:crypto';

import { readVerificationKeys, secretKey, verifyJws } from '../jws.ts';
import type { VerificationKey } from '../jws.ts';
import { parseJson } from '../json.ts';
import { RegoObject, compareValues, isArray, isNumber } from '../value.ts';
import type { RegoNumber, RegoValue } from '../value.ts';
import { fromDouble } from '../numbers.ts';
import { trimBoth } from '../trim.ts';
import { ofText, ofTwoTexts } from './builtin.ts';
import type { Builtin, BuiltinContext, BuiltinTable } from './builtin.ts';
import { decodeBase64Url } from './encodings.ts';

export const JWT_BUILTINS: BuiltinTable = {
  'io.jwt.decode': ofText((token, { meter }) => {
    meter.spend(token.length);
    return decode(token, MAX_NESTED);
  }),
  'io.jwt.decode_verify': ([token, constraints], context) =>
    typeof token === 'string' && constraints instanceof RegoObject ? decodeVerify(token, constraints, context) : undefined,
  'io.jwt.verify_rs256': verifying('RS256'),
  'io.jwt.verify_rs384': verifying('RS384'),
  'io.jwt.verify_rs512': verifying('RS512'),
  'io.jwt.verify_ps256': verifying('PS256'),
  'io.jwt.verify_ps384': verifying('PS384'),
  'io.jwt.verify_ps512': verifying('PS512'),
  'io.jwt.verify_es256': verifying('ES256'),
  'io.jwt.verify_es384': verifying('ES384'),
  'io.jwt.verify_es512': verifying('ES512'),
  'io.jwt.verify_eddsa': verifying('EdDSA'),
  'io.jwt.verify_hs256': verifyingSecret('HS256'),
  'io.jwt.verify_hs384': verifyingSecret('HS384'),
  'io.jwt.verify_hs512': verifyingSecret('HS512'),
};

interface Token {
  readonly header: RegoObject;
  readonly signed: string;
  readonly payload: Buffer;
  readonly signature: Buffer;
}

function readToken(text: string): Token | null {
  const [header = '', payload = '', signature, ...rest] = text.split('.');
  if (signature === undefined || rest.length > 0) return null;
  const headerObject = readObject(decodeBase64Url(header));
  const [payloadBytes, signatureBytes] = [decodeBase64Url(payload), decodeBase64Url(signature)];
  if (headerObject === null || payloadBytes === undefined || signatureBytes === undefined) return null;
  return { header: headerObject, signed: `${header}.${payload}`, payload: payloadBytes, signature: signatureBytes };
}

function decode(text: string, nestingLeft: number): RegoValue | undefined {
  const token = readToken(text);
  if (token === null) return undefined;
  const contentType = token.header.find('cty');
  if (contentType === 'JWT') {
    const inner = trimBoth(token.payload.toString('utf8'), (sign) => sign === '"' || sign === "'");
    return nestingLeft === 0 ? undefined : decode(inner, nestingLeft - 1);
  }
  const payload = readObject(token.payload);
  return payload === null ? undefined : [token.header, payload, token.signature.toString('hex')];
}

function verifying(algorithm: string): Builtin {
  return ofTwoTexts((text, keyText, { meter }) => {
    meter.spend(SIGNATURE_COST + text.length);
    const token = readToken(text);
    const keys = readVerificationKeys(keyText);
    if (token === null || keys === null) return undefined;
    const [name, id] = [token.header.find('alg'), token.header.find('kid')];
    const isMade = ({ key }: VerificationKey): boolean => verifyJws(algorithm, key, token.signed, token.signature);
    const named = typeof id === 'string' && id !== '' ? keys.find((key) => key.id === id) : undefined;
    if (named !== undefined) return isMade(named);
    meter.spend(SIGNATURE_COST * keys.length);
    return keys.some((key) => (key.algorithm === null || key.algorithm === name) && isMade(key));
  });
}

function verifyingSecret(algorithm: string): Builtin {
  return ofTwoTexts((text, secret, { meter }) => {
    meter.spend(SIGNATURE_COST + text.length);
    const token = readToken(text);
    if (token === null || secret === '') return undefined;
    return verifyJws(algorithm, secretKey(secret), token.signed, token.signature);
  });
}

interface Constraints {
  readonly keys: readonly VerificationKey[];
  readonly algorithm: string | null;
  readonly issuer: string | null;
  readonly audience: string | null;
  readonly timeNs: RegoNumber;
}

function decodeVerify(text: string, given: RegoObject, context: BuiltinContext): RegoValue | undefined {
  const constraints = readConstraints(given, context);
  if (constraints === null) return undefined;
  const { algorithm, keys } = constraints;
  let current = text;
  for (let nestingLeft = MAX_NESTED; nestingLeft >= 0; nestingLeft--) {
    context.meter.spend(SIGNATURE_COST * (1 + keys.length) + current.length);
    const token = readToken(current);
    if (token === null) return undefined;
    const head = readHeader(token.header);
    if (head === null) return undefined;
    if (!head.isValid || (algorithm !== null && algorithm !== head.algorithm)) return UNVERIFIED;
    if (!isSigned(token, head, keys)) return UNVERIFIED;
    if (head.contentType.toLowerCase() === 'jwt') {
      current = token.payload.toString('utf8');
      continue;
    }
    const payload = readObject(token.payload);
    if (payload === null) return undefined;
    const holds = claimsHold(payload, constraints);
    if (holds === undefined) return undefined;
    return holds ? [true, token.header, payload] : UNVERIFIED;
  }
  return undefined;
}

interface Head {
  readonly algorithm: string;
  readonly keyId: string;
  readonly contentType: string;
  readonly isValid: boolean;
}

/** Null when a member that is known has another type than it may. */
function readHeader(header: RegoObject): Head | null {
  const texts: string[] = [];
  for (const name of ['alg', 'kid', 'typ', 'cty']) {
    const value = header.find(name) ?? '';
    if (typeof value !== 'string') return null;
    texts.push(value);
  }
  const [algorithm = '', keyId = '', , contentType = ''] = texts;
  const critical = header.find('crit');
  if (critical !== undefined && (!isArray(critical) || critical.length === 0)) return null;
  const isUnknown = (name: RegoValue): boolean => typeof name === 'string' && !KNOWN.has(name) && header.find(name) !== undefined;
  const isValid = algorithm !== '' && !(isArray(critical) && critical.some(isUnknown));
  return { algorithm, keyId, contentType, isValid };
}

function isSigned(token: Token, head: Head, keys: readonly VerificationKey[]): boolean {
  const isMade = (key: KeyObject): boolean => verifyJws(head.algorithm, key, token.signed, token.signature);
  const named = head.keyId === '' ? undefined : keys.find(({ id }) => id === head.keyId);
  if (named !== undefined) return isMade(named.key);
  return keys.some(({ algorithm, key }) => (algorithm === null || algorithm === head.algorithm) && isMade(key));
}

function readConstraints(given: RegoObject, { nowNs }: BuiltinContext): Constraints | null {
  for (const [name] of given.entries()) if (typeof name !== 'string' || !CONSTRAINTS.has(name)) return null;
  const text = (name: string): string | null | undefined => {
    const value = given.find(name);
    return value === undefined ? null : typeof value === 'string' ? value : undefined;
  };
  const [cert, secret, algorithm, issuer, audience] = [text('cert'), text('secret'), text('alg'), text('iss'), text('aud')];
  if (cert === undefined || secret === undefined || algorithm === undefined) return null;
  if (issuer === undefined || audience === undefined) return null;
  const time = given.find('time') ?? nowNs;
  if (!isNumber(time) || time < 0) return null;
  const hasSecret = secret !== null && secret !== '';
  if ((cert !== null) === hasSecret) return null;
  const keys = hasSecret ? [{ key: secretKey(secret), algorithm: null, id: null }] : readVerificationKeys(cert ?? '');
  if (keys === null) return null;
  const orNull = (value: string | null): string | null => (value === '' ? null : value);
  return { keys, algorithm: orNull(algorithm), issuer: orNull(issuer), audience: orNull(audience), timeNs: time };
}

/** RFC 7519, section 4.1; undefined when a claim has another type than it may. */
function claimsHold(payload: RegoObject, { audience, issuer, timeNs }: Constraints): boolean | undefined {
  if (issuer !== null && payload.find('iss') !== issuer) return false;
  const given = payload.find('aud');
  if (given === undefined ? audience !== null : !isFor(given, audience)) return false;
  const seconds = fromDouble(Number(timeNs) / 1e9) ?? 0;
  const [expires, notBefore] = [payload.find('exp'), payload.find('nbf')];
  if (expires !== undefined) {
    if (!isNumber(expires)) return undefined;
    if (compareValues(seconds, expires) >= 0) return false;
  }
  if (notBefore !== undefined) {
    if (!isNumber(notBefore)) return undefined;
    if (compareValues(seconds, notBefore) < 0) return false;
  }
  return true;
}

function isFor(given: RegoValue, audience: string | null): boolean {
  return isArray(given) ? given.includes(audience ?? '') : given === (audience ?? '');
}

function readObject(bytes: Buffer | undefined): RegoObject | null {
  if (bytes === undefined) return null;
  const reading = parseJson(bytes.toString('utf8'));
  return reading.ok && reading.value instanceof RegoObject ? reading.value : null;
}

const UNVERIFIED: RegoValue = [false, new RegoObject(), new RegoObject()];
const KNOWN: ReadonlySet<string> = new Set(['alg', 'kid', 'typ', 'cty', 'crit']);
const CONSTRAINTS: ReadonlySet<string> = new Set(['cert', 'secret', 'alg', 'iss', 'aud', 'time']);
/** Tokens within tokens. */
const MAX_NESTED = 4;
/** A signature takes some 100 us of an RSA key; a step of a module some nanosecond. */
const SIGNATURE_COST = 50_000;
