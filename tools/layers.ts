/**
 * The import table: which folder may import which, where each npm package may be used, and what the sidecar's process may load.
 * Imports point down only, so that the policy and the codecs can be read, tested and trusted without the rest.
 *
 *     node tools/layers.ts        prints each breach and ends with 1 if there is one
 */
import { existsSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';

import { type Import, packageOf, reachableFrom, readSources, resolveImport, type SourceFile } from './imports.ts';

/** One import that the table forbids, ready to be printed. */
export type Breach = `${string}:${number}: ${string}`;

/** Every breach of the table below the given root. */
export function findBreaches(root: string): readonly Breach[] {
  const sources = readSources(
    root,
    Object.keys(LAYERS).filter((folder) => existsSync(join(root, folder))),
  );
  const found: Breach[] = [];
  for (const source of sources.values()) {
    for (const imported of source.imports) {
      for (const fault of [layerFault(source, imported), packageFault(source, imported), socketFault(source, imported)]) {
        if (fault !== null) found.push(`${source.path}:${imported.line}: ${fault}`);
      }
    }
  }
  for (const entry of LEAN_ENTRIES) {
    if (sources.has(entry)) found.push(...leanFaults(entry, sources));
  }
  return found;
}

function layerFault(source: SourceFile, { specifier, isType }: Import): string | null {
  const target = resolveImport(source.path, specifier);
  if (target === null) return null;
  const from = topFolder(source.path);
  const to = topFolder(target);
  if (!/\.[a-z]+$/.test(specifier)) return `"${specifier}" has no file extension`;
  // Tests lie at any depth and name what supports them from the top.
  if (from === to && (from === 'test' || !specifier.startsWith('#'))) return null;
  if (from === to) return `"${specifier}" stays within ${from}: write a relative path`;
  if (!specifier.startsWith('#')) return `"${specifier}" crosses into ${to}: write #${to}/...`;
  if (from === 'console' && !isType) return `console imports types only, "${specifier}" is a value`;
  if (isTest(source.path) && (to === 'test' || to === 'tools')) return null;
  if (from === 'tools' && GENERATORS.test(source.path)) return null;
  if (LAYERS[from]?.includes(to) === true) return null;
  return `${from} may not import ${to}: "${specifier}"`;
}

function packageFault(source: SourceFile, { specifier }: Import): string | null {
  const name = packageOf(specifier);
  if (name === null || (isTest(source.path) && TEST_PACKAGES.includes(name))) return null;
  if (isBuiltin(name)) return `"${specifier}" is a part of Node: write node:${specifier}`;
  const places = PACKAGES[name];
  if (places === undefined) return `the package "${name}" is in no row of tools/layers.ts`;
  if (places.some((place) => source.path.startsWith(place))) return null;
  return `the package "${name}" is for ${places.join(', ')} only`;
}

function socketFault(source: SourceFile, { specifier, isType }: Import): string | null {
  if (isType || isTest(source.path) || !SOCKETLESS.includes(topFolder(source.path))) return null;
  return SOCKETS.includes(specifier) ? `${topFolder(source.path)} opens no sockets: "${specifier}"` : null;
}

function* leanFaults(entry: string, sources: ReadonlyMap<string, SourceFile>): Generator<Breach> {
  const reached = reachableFrom(entry, sources);
  for (const path of reached.keys()) {
    for (const { specifier, isType, line } of sources.get(path)?.imports ?? []) {
      const name = packageOf(specifier);
      if (!isType && DEAR_PARTS.includes(specifier)) {
        yield `${path}:${line}: the sidecar's process may not import "${specifier}": write process.getBuiltinModule()`;
      }
      if (name === null || isType || SIDECAR_PACKAGES.includes(name)) continue;
      yield `${path}:${line}: the sidecar's process may not load "${name}": ${wayTo(path, reached)}`;
    }
  }
}

function wayTo(path: string, reached: ReadonlyMap<string, string | null>): string {
  const way = [path];
  for (let before = reached.get(path); before; before = reached.get(before)) way.unshift(before);
  return way.join(' -> ');
}

function topFolder(path: string): string {
  return path.slice(0, path.indexOf('/'));
}

function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.startsWith('test/') || path.startsWith('bench/');
}

const PRODUCT = ['base', 'authz', 'certs', 'wire', 'proto', 'proxy', 'control', 'cli'];

/** What each top-level folder may import of the others. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  authz: ['base'],
  certs: ['base'],
  wire: ['base'],
  proto: ['authz', 'certs', 'wire', 'base'],
  proxy: ['proto', 'authz', 'certs', 'wire', 'base'],
  control: ['proto', 'authz', 'certs', 'wire', 'base'],
  cli: ['proxy', 'control', 'proto', 'authz', 'certs', 'wire', 'base'],
  console: ['proto'],
  tools: [],
  bench: [...PRODUCT, 'test'],
  test: [...PRODUCT, 'tools'],
};

/** The tools that write documents from the product's own tables. */
const GENERATORS = /^tools\/(generators|configuration-reference)\.ts$/;

/** Where each npm package may be used. One that is in no row may not be used at all. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  '@grpc/grpc-js': ['cli/demo/', 'cli/verbs/api-reflection', 'control/'],
  '@readme/openapi-parser': ['authz/api/', 'cli/'],
  commander: ['cli/'],
  'fast-check': ['test/', 'bench/'],
  jose: ['certs/jwt/'],
  'node-forge': ['certs/x509/', 'certs/authority/'],
  '@open-policy-agent/opa-wasm': ['authz/opa/'],
  'oxc-parser': ['tools/'],
  pino: ['base/'],
  protobufjs: ['authz/api/', 'cli/'],
  re2js: ['authz/'],
  rolldown: ['tools/'],
  'tar-stream': ['authz/opa/', 'cli/'],
  undici: ['proxy/', 'control/', 'cli/', 'test/', 'bench/'],
  vitest: ['test/'],
  yaml: ['proto/', 'authz/policy/', 'authz/opa/builtins/', 'cli/', 'test/', 'bench/', 'tools/'],
  zod: ['proto/', 'cli/'],
};

const TEST_PACKAGES = [
  '@cedar-policy/cedar-wasm',
  '@grpc/grpc-js',
  '@grpc/proto-loader',
  '@grpc/reflection',
  '@open-policy-agent/opa-wasm',
  'casbin',
  'fast-check',
  'ioredis',
  'jose',
  'pg',
  'protobufjs',
  're2js',
  'tar-stream',
  'vitest',
  'ws',
  'yaml',
];

/** Processes whose idle memory is a budget: they load these packages and what those depend on, and no other. */
const LEAN_ENTRIES = ['proxy/main.ts'];
export const SIDECAR_PACKAGES: readonly string[] = ['pino'];
/** Imported by name they load Node's fetch and WebSocket client: 20 MB and 40 ms of CPU time (proxy/admin/http-server.ts). */
const DEAR_PARTS = ['node:http', 'node:https'];

const SOCKETLESS = ['authz', 'certs', 'wire'];
const SOCKETS = ['net', 'tls', 'http', 'https', 'http2', 'dgram', 'dns', 'cluster'].map((part) => `node:${part}`);

if (import.meta.main) {
  const breaches = findBreaches(join(import.meta.dirname, '..'));
  for (const breach of breaches) console.log(breach);
  process.exitCode = breaches.length === 0 ? 0 : 1;
}
