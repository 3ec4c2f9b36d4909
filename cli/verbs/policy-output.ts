/** What the verbs for people have in common: documents that must be sound before anything is asked of them, and three forms of output. */
import { stringify } from 'yaml';

import { readDescribedPolicies } from '#authz/api/described-apis.ts';
import type { Workload } from '#authz/policy/model.ts';
import type { PolicySet } from '#authz/policy/policy-set.ts';

import { EXIT, ExitError } from '../exit.ts';
import { faultLine } from './policy-decide.ts';
import type { VerbStreams } from './verb.ts';

export type OutputFormat = 'table' | 'json' | 'yaml';

/** What every one of them asks the documents for. */
export interface PolicyQuery {
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  readonly ignoreKinds: boolean;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** @throws {ExitError} with status 65 when a document is at fault; the faults are written to standard error */
export async function readSoundPolicies(
  files: readonly string[],
  ignoreKinds: boolean,
  io: Pick<VerbStreams, 'stderr'>,
): Promise<PolicySet> {
  const { faults, set } = await readDescribedPolicies(files, { ignoreKinds });
  if (faults.length === 0) return set;
  for (const fault of faults) io.stderr.write(`${faultLine(fault)}\n`);
  throw new ExitError(EXIT.data, `Cannot read the policies: found ${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}`);
}

/** One document on standard output. @param asTable  the same for people */
export function writeOutput(value: object, format: OutputFormat, asTable: () => string, io: Pick<VerbStreams, 'stdout'>): void {
  if (format === 'json') io.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  else if (format === 'yaml') io.stdout.write(stringify(value, { aliasDuplicateObjects: false }));
  else io.stdout.write(asTable());
}

/** `NAMESPACE` or `NAMESPACE/ACCOUNT`, and labels `key=value`. */
export function readWorkload(text: string, labels: readonly string[]): Workload {
  const [namespace = '', serviceAccount, ...more] = text.split('/');
  if (namespace === '' || serviceAccount === '' || more.length > 0) {
    throw new ExitError(EXIT.usage, `Cannot read the workload "${text}": wanted NAMESPACE or NAMESPACE/ACCOUNT`);
  }
  const pairs = labels.map((label): readonly [string, string] => {
    const equals = label.indexOf('=');
    if (equals < 1) throw new ExitError(EXIT.usage, `Cannot read the label "${label}": wanted KEY=VALUE`);
    return [label.slice(0, equals), label.slice(equals + 1)];
  });
  return { namespace, serviceAccount: serviceAccount ?? null, labels: Object.fromEntries(pairs) };
}
