/** `.manifest`: revision, roots, and which rules the module answers for. */
import { PosternError } from '#base/error.ts';

import { parseJson } from '../json.ts';
import { trimBoth } from '../trim.ts';
import { RegoObject, isArray } from '../value.ts';
import type { RegoValue } from '../value.ts';

export interface BundleManifest {
  readonly revision: string;
  /** Paths with slashes that the bundle owns; one empty path is everything. */
  readonly roots: readonly string[];
  readonly modules: readonly { readonly entrypoint: string; readonly module: string }[];
}

/** @throws {PosternError} `opa_bundle_content` */
export function readManifest(bytes: Uint8Array | undefined): BundleManifest {
  if (bytes === undefined) return { revision: '', roots: [''], modules: [] };
  const reading = parseJson(Buffer.from(bytes).toString('utf8'));
  if (!reading.ok || !(reading.value instanceof RegoObject)) throw manifestFault('no JSON object');
  const manifest = reading.value;
  const revision = manifest.find('revision') ?? '';
  if (typeof revision !== 'string') throw manifestFault('a revision that is no string');
  return { revision, roots: readRoots(manifest.find('roots')), modules: readModules(manifest.find('wasm')) };
}

function readRoots(value: RegoValue | undefined): readonly string[] {
  if (value === undefined || value === null) return [''];
  if (!isArray(value)) throw manifestFault('roots that are no list');
  const roots = value.map((root) => {
    if (typeof root !== 'string') throw manifestFault('a root that is no string');
    return trimBoth(root, (sign) => sign === '/');
  });
  for (const [index, root] of roots.entries()) {
    const isInside = roots.some((other, at) => at !== index && (other === root || other === '' || root.startsWith(`${other}/`)));
    if (isInside) throw manifestFault(`overlapping roots, one of them "${root}"`);
  }
  return roots;
}

function readModules(value: RegoValue | undefined): BundleManifest['modules'] {
  if (value === undefined || value === null) return [];
  if (!isArray(value)) throw manifestFault('"wasm" that is no list');
  return value.map((entry) => {
    const entrypoint = entry instanceof RegoObject ? entry.find('entrypoint') : undefined;
    const module = entry instanceof RegoObject ? entry.find('module') : undefined;
    if (typeof entrypoint !== 'string' || typeof module !== 'string')
      throw manifestFault('an entry of "wasm" that cannot be read');
    return { entrypoint, module: module.replace(/^\/+/u, '') };
  });
}

function manifestFault(found: string): PosternError {
  return new PosternError('opa_bundle_content', `Cannot use the bundle's .manifest: found ${found}`);
}
