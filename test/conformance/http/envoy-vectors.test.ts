/** Envoy's own tables of path normalisation and port stripping, against the canonicaliser. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { parseAuthority } from '#proxy/http/authority.ts';
import { CanonicalTarget, canonicaliseText } from '#proxy/http/canonicalise.ts';
import { canonicalPath } from '#proxy/http/path.ts';

import { vectorsDir } from '../../support/vectors.ts';

interface PathVectors {
  readonly normalizeUnchanged: readonly string[];
  readonly normalizeRejects: readonly string[];
  readonly normalize: readonly (readonly [string, string])[];
  readonly mergeSlashes: readonly (readonly [string, string])[];
  readonly removeQueryAndFragment: readonly (readonly [string, string])[];
}

interface HostVectors {
  readonly stripPortMatching443: readonly (readonly [string, string])[];
  readonly stripAnyPort: readonly (readonly [string, string])[];
}

/** What Envoy's functions take and a request's target cannot be; each is refused. */
const REFUSED_PATHS: Readonly<Record<string, string>> = {
  '': 'an empty target is none',
  'a/b/../c': 'a relative path is no origin-form',
  '..': 'a relative path is no origin-form',
  'a//b/c': 'a relative path is no origin-form',
  'a//b/c/': 'a relative path is no origin-form',
  '/abc#': 'a fragment is refused and not cut off: no client sends one',
  '/abc#fragment': 'a fragment',
  '/abc#fragment?param=value': 'a fragment',
  '/abc##': 'a fragment',
  '/abc#?': 'a fragment',
  '/abc#?param=value': 'a fragment',
  '/abc?#': 'a fragment',
  '/abc?#fragment': 'a fragment',
  '/abc?param=value#': 'a fragment',
  '/abc?param=value#fragment': 'a fragment',
};

const REFUSED_HOSTS: Readonly<Record<string, string>> = {
  '': 'no host',
  ':443': 'no host before the port',
  ':': 'no host',
  ']:': 'no host',
  ':abc': 'no host',
};

const vectors = vectorsDir();

describe.skipIf(vectors === null)('Envoy path_utility_test', () => {
  const paths = read<PathVectors>('path-utility.json', {
    normalizeUnchanged: [],
    normalizeRejects: [],
    normalize: [],
    mergeSlashes: [],
    removeQueryAndFragment: [],
  });
  const same = paths.normalizeUnchanged.map((path) => [path, path] as const);

  test.each([...same, ...paths.normalize])('base: %s is %s', (path, want) => {
    expect(canonicalPath(path, 'base')).toBe(path in REFUSED_PATHS ? null : want);
  });

  test.each(paths.normalizeRejects)('base refuses %s', (path) => {
    expect(canonicalPath(path, 'base')).toBeNull();
  });

  test.each(paths.mergeSlashes)('merge-slashes: %s is %s', (target, want) => {
    expect(canonical(target, 'merge-slashes')).toBe(target in REFUSED_PATHS ? null : want);
  });

  test.each(paths.removeQueryAndFragment)('the path of %s is %s', (target, want) => {
    const found = canonical(target, 'base');
    expect(found === null ? null : found.split('?')[0]).toBe(target in REFUSED_PATHS ? null : want);
  });
});

describe.skipIf(vectors === null)('Envoy header_utility_test', () => {
  const hosts = read<HostVectors>('host-strip.json', { stripPortMatching443: [], stripAnyPort: [] });

  test.each(hosts.stripPortMatching443)('with the default port 443, %s is %s', (host, want) => {
    expect(stripped(host, true)).toBe(host in REFUSED_HOSTS ? null : want);
  });

  test.each(hosts.stripAnyPort)('without its port, %s is %s', (host, want) => {
    expect(stripped(host, false)).toBe(want);
  });
});

function read<Vectors>(file: string, none: Vectors): Vectors {
  // The file is data of Envoy's own tests; a member that is missing fails the tests that read it.
  return vectors === null ? none : (JSON.parse(readFileSync(join(vectors, 'envoy', file), 'utf8')) as Vectors);
}

function canonical(target: string, mode: 'base' | 'merge-slashes'): string | null {
  const out = new CanonicalTarget();
  const failure = canonicaliseText({ method: 'GET', target, hosts: ['a'], authority: null, scheme: 'http' }, mode, out);
  return failure === null ? out.path + target.slice(out.queryStart, out.queryEnd) : null;
}

function stripped(host: string, keepsOthers: boolean): string | null {
  const out = new CanonicalTarget();
  const failure = canonicaliseText({ method: 'GET', target: '/', hosts: [host], authority: null, scheme: 'https' }, 'base', out);
  if (failure !== null) return parseAuthority(host) === null ? null : failure;
  return keepsOthers && out.port !== null ? `${out.host}:${out.port}` : out.host;
}
