/**
 * Bundles the command, the sidecar's data process with its threads and its children into dist/, for images and packages. What two of them
 * share is a chunk of its own; each process loads only what it reaches, and what the data process reaches is an allow-list.
 *
 *     node tools/bundle.ts               writes dist/, minified
 *     node tools/bundle.ts --no-minify   the same, readable
 *     node tools/bundle.ts --dir DIR     writes them there
 *     node tools/bundle.ts --check       builds in memory only
 */
import { existsSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { build, type OutputChunk, type RolldownOutput } from 'rolldown';

import { withDependencies } from './imports.ts';
import { SIDECAR_PACKAGES } from './layers.ts';

/** What a process loads: at once, and all that it ever may. */
interface Reach {
  readonly atStart: ReadonlySet<OutputChunk>;
  readonly ever: ReadonlySet<OutputChunk>;
}

const ROOT = join(import.meta.dirname, '..');
const ENTRIES: Readonly<Record<string, string>> = {
  cli: 'cli/main.ts',
  proxy: 'proxy/main.ts',
  prepare: 'cli/prepare/main.ts',
  'opa-worker': 'authz/opa/worker.ts',
  'opa-office': 'proxy/opa/office.ts',
  'key-sets': 'proxy/key-sets/main.ts',
};

const { values: options } = parseArgs({
  allowNegative: true,
  options: { check: { type: 'boolean', default: false }, minify: { type: 'boolean', default: true }, dir: { type: 'string' } },
});
const dir = resolve(options.dir ?? join(ROOT, 'dist'));
const missing = Object.values(ENTRIES).filter((entry) => !existsSync(join(ROOT, entry)));
if (missing.length > 0) {
  console.error(`Cannot bundle "${missing.join(', ')}": no such file`);
  process.exit(1);
}

if (!options.check) rmSync(dir, { recursive: true, force: true });
const { output } = await buildAll().catch((error: unknown) => {
  console.error(`Cannot bundle: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
});
const chunks = new Map(output.filter((file) => file.type === 'chunk').map((chunk) => [chunk.fileName, chunk]));

for (const name of Object.keys(ENTRIES)) {
  const { atStart, ever } = reach(`${name}.js`);
  console.log(
    `${`${name}.js`.padEnd(14)} ${kib(atStart)} KiB at start, ${kib(ever)} KiB in all, ${packagesOf(ever).join(' ') || 'no packages'}`,
  );
}

const allowed = withDependencies(ROOT, SIDECAR_PACKAGES);
// `postern proxy -c FILE` comes in by the command, whose own entry loads nothing of it at start.
for (const [name, loaded] of [
  ['proxy.js', reach('proxy.js').ever],
  ['cli.js at start', reach('cli.js').atStart],
] as const) {
  const refused = packagesOf(loaded).filter((found) => !allowed.has(found));
  if (refused.length === 0) continue;
  console.error(`Cannot accept "${name}": it holds ${refused.join(', ')}, which tools/layers.ts does not allow in the sidecar`);
  process.exitCode = 1;
}

function buildAll(): Promise<RolldownOutput> {
  return build({
    cwd: ROOT,
    input: ENTRIES,
    platform: 'node',
    write: !options.check,
    output: {
      dir,
      format: 'esm',
      minify: options.minify,
      entryFileNames: '[name].js',
      // All in one folder, so that `./prepare.js` means the same from every chunk.
      chunkFileNames: '[name]-[hash].js',
    },
  });
}

function reach(fileName: string): Reach {
  return {
    atStart: closure(fileName, (chunk) => chunk.imports),
    ever: closure(fileName, (chunk) => [...chunk.imports, ...chunk.dynamicImports]),
  };
}

function closure(fileName: string, next: (chunk: OutputChunk) => readonly string[]): ReadonlySet<OutputChunk> {
  const names = new Set([fileName]);
  for (const name of names) for (const found of chunkNamed(name, next)) names.add(found);
  return new Set([...names].flatMap((name) => chunks.get(name) ?? []));
}

function chunkNamed(name: string, next: (chunk: OutputChunk) => readonly string[]): readonly string[] {
  const chunk = chunks.get(name);
  return chunk === undefined ? [] : next(chunk);
}

function packagesOf(loaded: ReadonlySet<OutputChunk>): readonly string[] {
  const names = [...loaded].flatMap(({ moduleIds }) =>
    moduleIds.map((id) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1] ?? ''),
  );
  return [...new Set(names)].filter(Boolean).toSorted();
}

function kib(loaded: ReadonlySet<OutputChunk>): string {
  let bytes = 0;
  for (const { code } of loaded) bytes += Buffer.byteLength(code);
  return (bytes / 1024).toFixed(0);
}
