import { createHash, createHmac, generateKeyPairSync, sign } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { canonicalJson } from './canonical-json.ts';
import { verifyBundle } from './signature.ts';
import type { BundleVerification } from './signature.ts';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed = generateKeyPairSync('ed25519');
const PEM = publicKey.export({ format: 'pem', type: 'spki' }).toString();
const FILES: Readonly<Record<string, string>> = {
  'data.json': '{"b": 1.0, "a": "ü"}',
  'policy.wasm': 'bytes',
  '.manifest': '{"revision":"7"}',
};
const VERIFICATION: BundleVerification = { keys: new Map([['k', { key: PEM, algorithm: 'ES256' }]]) };
const NOW = 1_767_225_600;

describe('verifyBundle()', () => {
  test('takes what is signed with the key', () => {
    expect(() => verifyBundle(signed({}), VERIFICATION, NOW)).not.toThrow();
  });

  test('takes EdDSA and HS256 with their keys', () => {
    const eddsa: BundleVerification = {
      keys: new Map([['k', { key: ed.publicKey.export({ format: 'pem', type: 'spki' }).toString(), algorithm: 'EdDSA' }]]),
    };
    const make = (text: string): Buffer => sign(null, Buffer.from(text), ed.privateKey);
    expect(() => verifyBundle(signed({ header: { alg: 'EdDSA', kid: 'k' }, make }), eddsa, NOW)).not.toThrow();
    const shared: BundleVerification = { keys: new Map([['k', { key: 'secret', algorithm: 'HS256' }]]) };
    const mac = (text: string): Buffer => createHmac('sha256', 'secret').update(text).digest();
    expect(() => verifyBundle(signed({ header: { alg: 'HS256', kid: 'k' }, make: mac }), shared, NOW)).not.toThrow();
  });

  test.each<{ why: string; change: Change; found: RegExp }>([
    { why: 'another key', change: { make: (text) => ecdsa(text, other.privateKey) }, found: /not made with the key/u },
    { why: 'a signature of nothing', change: { make: () => Buffer.alloc(0) }, found: /not made with the key/u },
    { why: 'zeros for a signature', change: { make: () => Buffer.alloc(64) }, found: /not made with the key/u },
    { why: 'no algorithm', change: { header: { alg: 'none', kid: 'k' }, make: () => Buffer.alloc(0) }, found: /algorithm/u },
    {
      why: 'the public key as a secret',
      change: { header: { alg: 'HS256', kid: 'k' }, make: (text) => createHmac('sha256', PEM).update(text).digest() },
      found: /algorithm/u,
    },
    { why: 'a key id that is not known', change: { header: { alg: 'ES256', kid: 'x' } }, found: /key id/u },
    { why: 'no key id', change: { header: { alg: 'ES256' } }, found: /key id/u },
    { why: 'a critical extension', change: { header: { alg: 'ES256', kid: 'k', crit: ['exp'] } }, found: /critical/u },
    { why: 'a scope that was not asked for', change: { claims: { scope: 'write' } }, found: /scope/u },
    { why: 'an expiry that has passed', change: { claims: { exp: NOW } }, found: /expired/u },
    { why: 'an expiry that is no number', change: { claims: { exp: '9999999999' } }, found: /expired/u },
    { why: 'a file more', change: { files: { 'more.rego': 'x' } }, found: /does not list/u },
    { why: 'a file less', change: { files: { 'policy.wasm': null } }, found: /is not there/u },
    { why: 'a changed file', change: { files: { 'policy.wasm': 'other' } }, found: /another digest/u },
    { why: 'a changed document', change: { files: { 'data.json': '{"b":1,"a":"ü"}' } }, found: /another digest/u },
    {
      why: 'a key twice in a document',
      change: { files: { 'data.json': '{"b":1.0,"b":1.0,"a":"ü"}' } },
      found: /cannot be read/u,
    },
    { why: 'MD5', change: { algorithm: 'MD5' }, found: /digest "MD5"/u },
    { why: 'a second signature', change: { document: (token) => ({ signatures: [token, token] }) }, found: /single/u },
    { why: 'no signature', change: { document: () => ({ signatures: [] }) }, found: /single/u },
    { why: 'a plugin', change: { document: (token) => ({ signatures: [token], plugin: 'mine' }) }, found: /plugin/u },
  ])('refuses $why', ({ change, found }) => {
    expect(() => verifyBundle(signed(change), VERIFICATION, NOW)).toThrow(found);
  });

  test('refuses a bundle without a signature', () => {
    expect(() => verifyBundle(new Map([['data.json', Buffer.from('{}')]]), VERIFICATION, NOW)).toThrow(/found no \.signatures/u);
  });

  test('takes the blanks of a document for nothing', () => {
    expect(() => verifyBundle(signed({ files: { 'data.json': ' {"a":"ü","b":1.0}\n' } }), VERIFICATION, NOW)).not.toThrow();
  });
});

interface Change {
  readonly header?: object;
  readonly claims?: object;
  readonly algorithm?: string;
  readonly make?: (text: string) => Buffer;
  /** What is in the archive and not what was signed; null takes a file away. */
  readonly files?: Readonly<Record<string, string | null>>;
  readonly document?: (token: string) => object;
}

function signed({
  algorithm = 'SHA-256',
  claims = {},
  document,
  files = {},
  header,
  make = (text) => ecdsa(text, privateKey),
}: Change): Map<string, Buffer> {
  const listed = Object.entries(FILES).map(([name, text]) => ({
    name,
    hash: createHash(algorithm === 'MD5' ? 'md5' : 'sha256')
      .update(name === 'policy.wasm' ? text : (canonicalJson(text) ?? ''))
      .digest('hex'),
    algorithm,
  }));
  const segment = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${segment(header ?? { alg: 'ES256', kid: 'k' })}.${segment({ files: listed, ...claims })}`;
  const token = `${text}.${make(text).toString('base64url')}`;
  const all = new Map(
    Object.entries({ ...FILES, ...files }).flatMap(([name, content]) =>
      content === null ? [] : [[name, Buffer.from(content)] as const],
    ),
  );
  return all.set('.signatures.json', Buffer.from(JSON.stringify(document?.(token) ?? { signatures: [token] })));
}

function ecdsa(text: string, key: typeof privateKey): Buffer {
  return sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
}
