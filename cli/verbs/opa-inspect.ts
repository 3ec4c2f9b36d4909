/** `postern opa inspect BUNDLE`: what is in a bundle, whether it can be loaded, and what can be asked of it. */
import { keyText } from '#authz/opa/json.ts';
import { DEFAULT_OPA_LIMITS } from '#authz/opa/limits.ts';
import { loadProgram } from '#authz/opa/load.ts';

import { EXIT } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import { openBundle, orData } from './opa-bundle.ts';
import type { OpaBundleOptions } from './opa-bundle.ts';
import type { VerbStreams } from './verb.ts';

export interface OpaInspectOptions extends OpaBundleOptions {
  readonly output: 'text' | 'json';
}

export function opaInspect(options: OpaInspectOptions, io: VerbStreams): ExitStatus {
  const { data, digest, files, isSigned, manifest, policy } = openBundle(options);
  const program = orData(() => loadProgram({ policy, data }, DEFAULT_OPA_LIMITS));
  const found = {
    revision: manifest.revision,
    digest: `sha256:${digest}`,
    signed: isSigned,
    roots: manifest.roots,
    policy: { kind: policy.kind, bytes: policy.bytes.length, entrypoints: program.entrypoints },
    data: data.entries().map(([key]) => keyText(key)),
    files,
  };
  if (options.output === 'json') {
    io.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
    return EXIT.ok;
  }
  const rows: readonly (readonly [string, string])[] = [
    ['revision', found.revision === '' ? '(none)' : found.revision],
    ['digest', found.digest],
    ['signature', isSigned ? 'verified' : 'not asked for'],
    ['roots', found.roots.map((root) => (root === '' ? '(everything)' : root)).join(', ')],
    ['policy', `${policy.kind}, ${policy.bytes.length} bytes`],
    ['entry points', program.entrypoints.join(', ')],
    ['data', found.data.length === 0 ? '(none)' : found.data.join(', ')],
    ['files', files.map(({ bytes, name }) => `${name} (${bytes})`).join(', ')],
  ];
  io.stdout.write(rows.map(([name, value]) => `${`${name}:`.padEnd(14)}${value}\n`).join(''));
  return EXIT.ok;
}
