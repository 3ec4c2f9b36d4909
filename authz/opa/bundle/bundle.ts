/**
 * An OPA bundle, read and judged: the archive, the signature, the manifest, the data, and the policy in one of its two compiled
 * forms. Rego sources in it are passed over; a bundle without a compiled policy, and one that is a delta, are refused.
 */
import { createHash } from 'node:crypto';

import { PosternError } from '#base/error.ts';

import { parseYaml } from '../builtins/encodings.ts';
import { keyText, parseJson } from '../json.ts';
import type { BundleLimits } from '../limits.ts';
import { RegoObject } from '../value.ts';
import type { RegoValue } from '../value.ts';
import { unpackBundle } from './archive.ts';
import type { BundleFiles } from './archive.ts';
import { readManifest } from './manifest.ts';
import type { BundleManifest } from './manifest.ts';
import { verifyBundle } from './signature.ts';
import type { BundleVerification } from './signature.ts';

export interface Bundle {
  readonly manifest: BundleManifest;
  readonly data: RegoObject;
  readonly policy: { readonly kind: 'wasm' | 'plan'; readonly bytes: Uint8Array };
  readonly isSigned: boolean;
  /** SHA-256 of the archive, in hex. */
  readonly digest: string;
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
}

export interface BundleOptions {
  readonly limits: BundleLimits;
  /** `unsigned` takes a bundle as it is, signed or not. */
  readonly verification: BundleVerification | 'unsigned';
  /** Seconds since 1970. */
  readonly nowSeconds: number;
}

/** @throws {PosternError} `opa_bundle_archive`, `opa_bundle_signature`, `opa_bundle_content` */
export function readBundle(archive: Uint8Array, { limits, nowSeconds, verification }: BundleOptions): Bundle {
  const files = unpackBundle(archive, limits);
  if (verification !== 'unsigned') verifyBundle(files, verification, nowSeconds);
  const manifest = readManifest(files.get('.manifest'));
  return {
    manifest,
    data: readData(files, manifest.roots),
    policy: readPolicy(files, manifest),
    isSigned: verification !== 'unsigned',
    digest: createHash('sha256').update(archive).digest('hex'),
    files: [...files].map(([name, { length }]) => ({ name, bytes: length })),
  };
}

export function contentFault(found: string, hint = 'build it with "opa build -t wasm" or "opa build -t plan"'): PosternError {
  return new PosternError('opa_bundle_content', `Cannot use the bundle: ${found}`, hint);
}

function readPolicy(files: BundleFiles, { modules }: BundleManifest): Bundle['policy'] {
  if (files.has('patch.json')) throw contentFault('found a delta, wanted a snapshot');
  const [module, ...others] = new Set(modules.map(({ module: name }) => name));
  if (others.length > 0) throw contentFault(`found ${others.length + 1} modules, wanted one`);
  const wasm = files.get(module ?? 'policy.wasm');
  if (wasm !== undefined) return { kind: 'wasm', bytes: wasm };
  if (module !== undefined) throw contentFault(`found no "${module}", which the manifest names`);
  const plan = files.get('plan.json');
  if (plan !== undefined) return { kind: 'plan', bytes: plan };
  throw contentFault('found neither policy.wasm nor plan.json');
}

/** Documents by their folders, one inside the other. */
function readData(files: BundleFiles, roots: readonly string[]): RegoObject {
  let data = new RegoObject();
  for (const [name, content] of files) {
    const parts = name.split('/');
    const base = parts.pop() ?? '';
    const isJson = base === 'data.json';
    if (!isJson && base !== 'data.yaml' && base !== 'data.yml') continue;
    const text = Buffer.from(content).toString('utf8');
    const value = isJson ? parseDocument(text) : parseYaml(text);
    if (value === undefined)
      throw contentFault(`found that "${name}" cannot be read`, 'duplicate keys and deep nesting are refused');
    if (parts.length === 0 && !(value instanceof RegoObject)) throw contentFault(`found that "${name}" is no object`);
    data = merged(data, nestedIn(parts, value), name);
  }
  checkRoots(data, roots, []);
  return data;
}

function parseDocument(text: string): RegoValue | undefined {
  const reading = parseJson(text);
  return reading.ok ? reading.value : undefined;
}

function nestedIn(path: readonly string[], value: RegoValue): RegoObject {
  let inner = value;
  for (const step of path.toReversed()) {
    const outer = new RegoObject();
    outer.insert(step, inner);
    inner = outer;
  }
  // A document without a folder was seen to be an object.
  return inner instanceof RegoObject ? inner : new RegoObject();
}

function merged(left: RegoObject, right: RegoObject, name: string): RegoObject {
  const result = left.copy();
  for (const [key, value] of right.entries()) {
    const before = result.find(key);
    if (before === undefined) result.insert(key, value);
    else if (before instanceof RegoObject && value instanceof RegoObject) result.insert(key, merged(before, value, name));
    else throw contentFault(`found that "${name}" gives a second value to a key`);
  }
  return result;
}

/** Every document lies below a root, or is an object on the way to one. */
function checkRoots(value: RegoValue, roots: readonly string[], path: readonly string[]): void {
  const place = path.join('/');
  if (roots.some((root) => root === '' || place === root || place.startsWith(`${root}/`))) return;
  const isOnTheWay = place === '' || roots.some((root) => root.startsWith(`${place}/`));
  if (!isOnTheWay || !(value instanceof RegoObject)) throw contentFault(`found data at "${place}", outside of its roots`);
  for (const [key, element] of value.entries()) checkRoots(element, roots, [...path, keyText(key)]);
}
