/**
 * A bundle's signature (`.signatures.json`): one JWS whose claims list every file with its digest. It is checked before anything
 * else of the archive is read. Beyond what OPA does, an expiry in it holds, and MD5 and SHA-1 are no digests.
 */
import { createHash, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import { PosternError } from '#base/error.ts';

import { parseYaml } from '../builtins/encodings.ts';
import { parseJson, toJson } from '../json.ts';
import { isJwsAlgorithm, secretKey, verifyJws } from '../jws.ts';
import { RegoObject, isArray } from '../value.ts';
import type { RegoValue } from '../value.ts';
import type { BundleFiles } from './archive.ts';
import { canonicalJson } from './canonical-json.ts';

/** A key that bundles may be signed with. */
export interface BundleKey {
  /** PEM of a public key or certificate; for HS* the secret. */
  readonly key: string;
  readonly algorithm: string;
  readonly scope?: string;
}

export interface BundleVerification {
  readonly keys: ReadonlyMap<string, BundleKey>;
  /** Name of the key to use whatever the signature says. */
  readonly keyId?: string;
  readonly scope?: string;
}

export const SIGNATURES_FILE = '.signatures.json';

/**
 * Checks the signature and that the files are those which it lists, no more and no less.
 *
 * @param nowSeconds  seconds since 1970
 * @throws {PosternError} `opa_bundle_signature`
 */
export function verifyBundle(files: BundleFiles, verification: BundleVerification, nowSeconds: number): void {
  const signatures = files.get(SIGNATURES_FILE);
  if (signatures === undefined) throw signatureFault(`found no ${SIGNATURES_FILE}`);
  const claims = verifiedClaims(signatures, verification, nowSeconds);
  const listed = listedFiles(claims.find('files'));
  for (const [name, content] of files) {
    if (name === SIGNATURES_FILE) continue;
    const entry = listed.get(name);
    if (entry === undefined) throw signatureFault(`found that it does not list "${name}"`);
    if (digestOf(name, content, entry.algorithm) !== entry.hash) throw signatureFault(`found another digest of "${name}"`);
    listed.delete(name);
  }
  const [missing] = listed.keys();
  if (missing !== undefined) throw signatureFault(`found that it lists "${missing}", which is not there`);
}

function verifiedClaims(bytes: Uint8Array, verification: BundleVerification, nowSeconds: number): RegoObject {
  const document = objectOfJson(Buffer.from(bytes).toString('utf8'), SIGNATURES_FILE);
  const tokens = document.find('signatures');
  const [token, ...others] = isArray(tokens) ? tokens : [];
  if (typeof token !== 'string' || others.length > 0) throw signatureFault('found no single signature');
  const plugin = document.find('plugin') ?? '';
  if (plugin !== '' && plugin !== '_default') throw signatureFault('found that it names a plugin');

  const [header = '', payload = '', signature, ...rest] = token.split('.');
  if (signature === undefined || rest.length > 0) throw signatureFault('found no JWS in compact form');
  const head = objectOfJson(Buffer.from(header, 'base64url').toString('utf8'), 'header');
  const claims = objectOfJson(Buffer.from(payload, 'base64url').toString('utf8'), 'payload');

  const { algorithm, id, key, scope } = chosenKey(verification, head, claims);
  if (head.find('crit') !== undefined) throw signatureFault('found a critical extension');
  if (head.find('alg') !== algorithm)
    throw signatureFault(`found algorithm ${toJson(head.find('alg') ?? null)}, wanted ${algorithm}`);
  if (!verifyJws(algorithm, key, `${header}.${payload}`, Buffer.from(signature, 'base64url'))) {
    throw signatureFault(`found that it was not made with the key "${id}"`);
  }
  if ((claims.find('scope') ?? '') !== scope) throw signatureFault(`found another scope, wanted "${scope}"`);
  const expires = claims.find('exp');
  if (expires !== undefined && !(typeof expires === 'number' && nowSeconds < expires))
    throw signatureFault('found that it has expired');
  return claims;
}

interface ChosenKey {
  readonly id: string;
  readonly key: KeyObject;
  readonly algorithm: string;
  readonly scope: string;
}

function chosenKey(verification: BundleVerification, head: RegoObject, claims: RegoObject): ChosenKey {
  const id = verification.keyId ?? head.find('kid') ?? claims.find('keyid');
  const known = typeof id === 'string' ? verification.keys.get(id) : undefined;
  if (typeof id !== 'string' || known === undefined)
    throw signatureFault(`found the key id ${toJson(id ?? null)}, which is not configured`);
  const { algorithm, key, scope } = known;
  if (!isJwsAlgorithm(algorithm)) throw signatureFault(`found that the key "${id}" is for the unknown algorithm "${algorithm}"`);
  try {
    const read = algorithm.startsWith('HS') ? secretKey(key) : createPublicKey(key);
    return { id, key: read, algorithm, scope: verification.scope ?? scope ?? '' };
  } catch {
    throw signatureFault(`found that the key "${id}" cannot be read`);
  }
}

interface ListedFile {
  readonly hash: string;
  readonly algorithm: string;
}

function listedFiles(value: RegoValue | undefined): Map<string, ListedFile> {
  const listed = new Map<string, ListedFile>();
  for (const entry of isArray(value) ? value : []) {
    const [name, hash] = entry instanceof RegoObject ? [entry.find('name'), entry.find('hash')] : [];
    const algorithm = entry instanceof RegoObject ? (entry.find('algorithm') ?? 'SHA-256') : undefined;
    if (typeof name !== 'string' || typeof hash !== 'string' || typeof algorithm !== 'string') {
      throw signatureFault('found a list of files that cannot be read');
    }
    const bare = name.replace(/^\/+/u, '');
    if (listed.has(bare)) throw signatureFault(`found that it lists "${bare}" twice`);
    listed.set(bare, { hash: hash.toLowerCase(), algorithm });
  }
  return listed;
}

/** Documents are hashed by what they say, all other files by their bytes. */
function digestOf(name: string, content: Uint8Array, algorithm: string): string {
  const digest = DIGESTS.get(algorithm);
  if (digest === undefined) throw signatureFault(`found the digest "${algorithm}" of "${name}"`);
  const base = name.slice(name.lastIndexOf('/') + 1);
  let hashed: Uint8Array | string = content;
  if (base === '.manifest' || base === 'data.json') hashed = canonicalJson(Buffer.from(content).toString('utf8')) ?? fail(name);
  else if (base === 'data.yaml' || base === 'data.yml') {
    const value = parseYaml(Buffer.from(content).toString('utf8'));
    hashed = value === undefined ? fail(name) : (canonicalJson(toJson(value)) ?? fail(name));
  }
  return createHash(digest).update(hashed).digest('hex');
}

function fail(name: string): never {
  throw signatureFault(`found that "${name}" cannot be read`);
}

function objectOfJson(text: string, what: string): RegoObject {
  const reading = parseJson(text);
  if (reading.ok && reading.value instanceof RegoObject) return reading.value;
  throw signatureFault(`found that its ${what} is no JSON object`);
}

function signatureFault(found: string): PosternError {
  return new PosternError(
    'opa_bundle_signature',
    `Cannot accept the bundle's signature: ${found}`,
    'sign it with "opa build --signing-key"',
  );
}

const DIGESTS: ReadonlyMap<string, string> = new Map([
  ['SHA-224', 'sha224'],
  ['SHA-256', 'sha256'],
  ['SHA-384', 'sha384'],
  ['SHA-512', 'sha512'],
  ['SHA-512-224', 'sha512-224'],
  ['SHA-512-256', 'sha512-256'],
]);
