/** What a token may say and may not, each refusal with its own code. */
import { createHmac, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';

import { decodeJwt, SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';

import { readKeySet } from './key-set.ts';
import { claimedIssuer, verifyToken, type TokenRules } from './verify-token.ts';

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const NOW = 1_800_000_000;
const KEYS = keySet([
  [ec.publicKey, 'ec'],
  [rsa.publicKey, 'rsa'],
]);
const RULES: TokenRules = { issuer: 'https://idp.test', audiences: ['orders'] };
const CLAIMS = { iss: 'https://idp.test', sub: 'ann', aud: ['orders', 'x'], azp: 'cli', exp: NOW + 60 };

test('verifyToken() gives what a good token says', () => {
  const result = verifyToken(token(CLAIMS), KEYS, RULES, NOW * 1000);
  expect(result).toEqual({
    ok: true,
    token: {
      issuer: 'https://idp.test',
      subject: 'ann',
      audiences: ['orders', 'x'],
      presenter: 'cli',
      claims: CLAIMS,
      expiresMs: (NOW + 60) * 1000,
    },
  });
});

test('verifyToken() takes what jose signs, by every algorithm', async () => {
  const pairs = [
    ['RS256', rsa],
    ['RS512', rsa],
    ['PS256', rsa],
    ['PS512', rsa],
    ['ES256', ec],
    ['ES384', generateKeyPairSync('ec', { namedCurve: 'P-384' })],
    ['ES512', generateKeyPairSync('ec', { namedCurve: 'P-521' })],
    ['EdDSA', generateKeyPairSync('ed25519')],
    ['Ed25519', generateKeyPairSync('ed25519')],
  ] as const;
  for (const [alg, { privateKey, publicKey }] of pairs) {
    const text = await new SignJWT(CLAIMS).setProtectedHeader({ alg, kid: 'it' }).sign(privateKey);
    expect(verifyToken(text, keySet([[publicKey, 'it']]), RULES, NOW * 1000), alg).toMatchObject({ ok: true });
    expect(claimedIssuer(text)).toBe(decodeJwt(text).iss);
  }
});

describe('verifyToken() refuses', () => {
  const hmac = (header: object): string => {
    const signed = `${part(header)}.${part(CLAIMS)}`;
    const secret = ec.publicKey.export({ type: 'spki', format: 'pem' });
    return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
  };
  test.each([
    { why: 'two parts', text: token(CLAIMS).split('.').slice(0, 2).join('.'), code: 'jwt_malformed' },
    { why: 'four parts', text: `${token(CLAIMS)}.x`, code: 'jwt_malformed' },
    { why: 'padding', text: token(CLAIMS).replace('.', '=.'), code: 'jwt_malformed' },
    { why: 'a blank', text: ` ${token(CLAIMS)}`, code: 'jwt_malformed' },
    { why: 'another writing of the same bytes', text: lastBitsSet(token(CLAIMS)), code: 'jwt_malformed' },
    { why: 'a header that is a list', text: `${part([])}.${part(CLAIMS)}.`, code: 'jwt_malformed' },
    { why: 'a payload that is text', text: token('hello'), code: 'jwt_malformed' },
    { why: 'more than 16 KiB', text: token({ ...CLAIMS, x: 'x'.repeat(16_384) }), code: 'jwt_too_large' },
    { why: 'alg none', text: `${part({ alg: 'none' })}.${part(CLAIMS)}.`, code: 'jwt_alg_none' },
    { why: 'alg nOnE', text: `${part({ alg: 'nOnE' })}.${part(CLAIMS)}.`, code: 'jwt_alg_none' },
    { why: 'HS256 with the public key for a secret', text: hmac({ alg: 'HS256', kid: 'ec' }), code: 'jwt_alg_refused' },
    { why: 'an algorithm in lower case', text: token(CLAIMS, { alg: 'es256' }), code: 'jwt_alg_refused' },
    { why: 'RS256 with an EC key', text: token(CLAIMS, { alg: 'RS256' }), code: 'jwt_key_unknown' },
    { why: 'crit', text: token(CLAIMS, { crit: ['exp'] }), code: 'jwt_crit' },
    { why: 'an empty crit', text: token(CLAIMS, { crit: [] }), code: 'jwt_crit' },
    { why: 'b64', text: token(CLAIMS, { b64: false }), code: 'jwt_b64' },
    {
      why: 'a key of its own',
      text: token(CLAIMS, { jwk: stranger.publicKey.export({ format: 'jwk' }) }, stranger.privateKey),
      code: 'jwt_header_key',
    },
    { why: 'jku', text: token(CLAIMS, { jku: 'https://evil.test' }), code: 'jwt_header_key' },
    { why: 'x5u', text: token(CLAIMS, { x5u: 'https://evil.test' }), code: 'jwt_header_key' },
    { why: 'x5c', text: token(CLAIMS, { x5c: [] }), code: 'jwt_header_key' },
    { why: 'a kid that walks', text: token(CLAIMS, { kid: '../../dev/null' }), code: 'jwt_key_unknown' },
    { why: 'a kid of Object', text: token(CLAIMS, { kid: '__proto__' }), code: 'jwt_key_unknown' },
    { why: 'a kid that is a number', text: token(CLAIMS, { kid: 1 }), code: 'jwt_kid' },
    { why: "a stranger's signature", text: token(CLAIMS, {}, stranger.privateKey), code: 'jwt_signature' },
    { why: 'a changed payload', text: changed(token(CLAIMS)), code: 'jwt_signature' },
    { why: 'no signature', text: `${token(CLAIMS).split('.').slice(0, 2).join('.')}.`, code: 'jwt_signature' },
    { why: 'another issuer', text: token({ ...CLAIMS, iss: 'https://idp.test/' }), code: 'jwt_issuer' },
    { why: 'an issuer that is a list', text: token({ ...CLAIMS, iss: ['https://idp.test'] }), code: 'jwt_issuer' },
    { why: 'another audience', text: token({ ...CLAIMS, aud: 'order' }), code: 'jwt_audience' },
    { why: 'no audience', text: token({ ...CLAIMS, aud: undefined }), code: 'jwt_audience' },
    { why: 'no exp', text: token({ ...CLAIMS, exp: undefined }), code: 'jwt_exp_missing' },
    { why: 'exp as text', text: token({ ...CLAIMS, exp: String(NOW + 60) }), code: 'jwt_time' },
    { why: 'exp beyond all time', text: token({ ...CLAIMS, exp: 1e300 }), code: 'jwt_time' },
    { why: 'nbf as text', text: token({ ...CLAIMS, nbf: '0' }), code: 'jwt_time' },
    { why: 'a token that is over by now', text: token({ ...CLAIMS, exp: NOW }), code: 'jwt_expired' },
    { why: 'a token that begins in a second', text: token({ ...CLAIMS, nbf: NOW + 1 }), code: 'jwt_not_yet' },
    { why: 'a subject that is a number', text: token({ ...CLAIMS, sub: 7 }), code: 'jwt_subject' },
  ])('$why with $code', ({ text, code }) => {
    expect(verifyToken(text, KEYS, RULES, NOW * 1000)).toEqual({ ok: false, code });
  });

  test('every token without keys, and algorithms that the rule does not name', () => {
    expect(verifyToken(token(CLAIMS), null, RULES, NOW * 1000)).toEqual({ ok: false, code: 'jwt_no_keys' });
    expect(verifyToken(token(CLAIMS), { keys: [], left: [] }, RULES, NOW * 1000)).toEqual({ ok: false, code: 'jwt_no_keys' });
    const rules = { ...RULES, algorithms: ['RS256'] };
    expect(verifyToken(token(CLAIMS), KEYS, rules, NOW * 1000)).toEqual({ ok: false, code: 'jwt_alg_refused' });
  });

  test('times by the leeway that is stated, and no more', () => {
    const rules = { ...RULES, leewayMs: 30_000 };
    const over = token({ ...CLAIMS, exp: NOW });
    expect(verifyToken(over, KEYS, rules, (NOW + 30) * 1000 - 1)).toMatchObject({ ok: true });
    expect(verifyToken(over, KEYS, rules, (NOW + 30) * 1000)).toEqual({ ok: false, code: 'jwt_expired' });
  });
});

describe('readKeySet()', () => {
  test.each([
    { why: 'no JSON', text: '<html>' },
    { why: 'no list', text: '{"keys":{}}' },
    { why: 'a list', text: '[]' },
    {
      why: 'two keys of one id',
      text: jwks([
        [ec.publicKey, 'a'],
        [rsa.publicKey, 'a'],
      ]),
    },
  ])('gives nothing for $why', ({ text }) => {
    expect(readKeySet(text)).toBeNull();
  });

  test('leaves out what is no public signature key', () => {
    const jwk = ec.publicKey.export({ format: 'jwk' });
    const found = readKeySet(
      JSON.stringify({
        keys: [
          { kty: 'oct', k: 'c2VjcmV0' },
          ec.privateKey.export({ format: 'jwk' }),
          { ...jwk, use: 'enc' },
          { ...jwk, key_ops: ['sign'] },
          { ...jwk, kid: 7 },
          { ...jwk, alg: 'RS256' },
          weak.publicKey.export({ format: 'jwk' }),
          { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' },
          7,
          { ...jwk, kid: 'good', use: 'sig', key_ops: ['verify'], alg: 'ES256', extra: true },
        ],
      }),
    );
    expect(found?.keys.map(({ id }) => id)).toEqual(['good']);
    expect(found?.left).toHaveLength(9);
  });
});

function token(claims: unknown, header: object = {}, key: KeyObject = ec.privateKey): string {
  const signed = `${part({ alg: 'ES256', kid: 'ec', ...header })}.${part(claims)}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** The unused bits of the last character set: the same bytes to a lenient reader. */
function lastBitsSet(text: string): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return text.slice(0, -1) + (letters[letters.indexOf(text.at(-1) ?? 'A') | 1] ?? 'B');
}

function changed(text: string): string {
  const [header = '', , signature = ''] = text.split('.');
  return `${header}.${part({ ...CLAIMS, sub: 'eve' })}.${signature}`;
}

function keySet(keys: readonly (readonly [KeyObject, string])[]) {
  return readKeySet(jwks(keys));
}

function jwks(keys: readonly (readonly [KeyObject, string])[]): string {
  return JSON.stringify({ keys: keys.map(([key, kid]) => ({ ...key.export({ format: 'jwk' }), kid })) });
}
