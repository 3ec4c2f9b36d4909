/** The real OPA: builds bundles of policies, and answers inputs as the oracle. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { requirePeer } from '#test/support/peers.ts';

export const POLICIES = join(import.meta.dirname, 'policies');

/** Names of the policies of the corpus. */
export function policyNames(): readonly string[] {
  return readdirSync(POLICIES)
    .filter((name) => /^[a-z0-9_]+\.rego$/u.test(name))
    .map((name) => name.slice(0, -'.rego'.length));
}

/** Builds a bundle and gives its archive. `sources` are files or folders; the bundle's paths are relative to `folder`. */
export function opaBuild(
  folder: string,
  target: 'wasm' | 'plan',
  entrypoints: readonly string[],
  more: readonly string[] = [],
): Buffer {
  const output = join(folder, '..', `${target}.tar.gz`);
  const entries = entrypoints.flatMap((entrypoint) => ['-e', entrypoint]);
  execFileSync(requirePeer('opa'), ['build', '-t', target, ...entries, '-o', output, ...more, '-b', folder], { stdio: 'pipe' });
  return readFileSync(output);
}

/** Puts a policy of the corpus, its library and its data into a folder that `opaBuild` takes. */
export function layOut(name: string, root: string, extraData: object): string {
  const folder = join(root, name, 'bundle');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'policy.rego'), readFileSync(join(POLICIES, `${name}.rego`)));
  const library = join(POLICIES, `${name}.lib.rego`);
  if (existsSync(library)) writeFileSync(join(folder, 'lib.rego'), readFileSync(library));
  const data = join(POLICIES, `${name}.data.json`);
  const read: unknown = existsSync(data) ? JSON.parse(readFileSync(data, 'utf8')) : {};
  writeFileSync(join(folder, 'data.json'), JSON.stringify(Object.assign({}, read, extraData)));
  return folder;
}

/** What OPA itself says to an input: a value, nothing, or an error. */
export type Verdict = { readonly value: unknown } | 'undefined' | 'error';

/** Asks OPA about all inputs in one process, a file each. */
export function opaExec(bundle: string, decision: string, inputs: readonly unknown[], root: string): readonly Verdict[] {
  const folder = join(root, 'inputs');
  mkdirSync(folder, { recursive: true });
  const files = inputs.map((input, index) => {
    const file = join(folder, `${String(index).padStart(4, '0')}.json`);
    writeFileSync(file, JSON.stringify(input));
    return file;
  });
  const out = execFileSync(requirePeer('opa'), ['exec', '--decision', decision, '-b', bundle, ...files], {
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  });
  const { result } = JSON.parse(out.toString()) as { result: readonly Answer[] }; // what opa exec prints
  const byPath = new Map(result.map((answer) => [answer.path, answer]));
  return files.map((file) => {
    const answer = byPath.get(file);
    if (answer === undefined) throw new Error(`Cannot find OPA's answer to ${file}`);
    if (answer.error === undefined) return { value: answer.result };
    return answer.error.code === 'opa_undefined_error' ? 'undefined' : 'error';
  });
}

interface Answer {
  readonly path: string;
  readonly result?: unknown;
  readonly error?: { readonly code: string };
}
