/**
 * `postern who-can METHOD PATH` and `postern what-can`: every way in, by the rule that opens it: to one operation of a workload, or of
 * one caller to every workload.
 */
import { findAccess } from '#authz/analyse/access.ts';
import type { AccessReport, FixedAttributes } from '#authz/analyse/access.ts';
import { describeRequest } from '#authz/analyse/realise.ts';
import { workloadsToldApart } from '#authz/analyse/workloads.ts';
import type { Workload } from '#authz/policy/model.ts';
import { selectPolicies } from '#authz/policy/select.ts';

import { EXIT } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import { table } from '../table.ts';
import { accountOf, workloadNamed } from './policy-cases.ts';
import { readSoundPolicies, writeOutput } from './policy-output.ts';
import type { OutputFormat, PolicyQuery } from './policy-output.ts';
import type { VerbStreams } from './verb.ts';

export interface AccessOptions extends PolicyQuery {
  readonly files: readonly string[];
  /** `NAMESPACE/NAME`; null for every workload that the documents tell apart. */
  readonly to: string | null;
  /** A caller in the words of cases; null for any. */
  readonly from: string | null;
  readonly fixed: Omit<FixedAttributes, 'principal'>;
  readonly whenNoneSelects: 'allow' | 'deny';
  readonly output: OutputFormat;
}

export async function whoCan(options: AccessOptions, io: VerbStreams): Promise<ExitStatus> {
  const set = await readSoundPolicies(options.files, options.ignoreKinds, io);
  const workloads =
    options.to === null ? workloadsToldApart(set, options.rootNamespace, MAX_WORKLOADS) : [workloadNamed(options.to, set)];
  const principal = options.from === null ? {} : { principal: accountOf(options.from).slice('spiffe://'.length) };
  const found = workloads.map((workload) => ({
    workload: titleOf(workload),
    ...findAccess(selectPolicies(set, workload, options), { ...options.fixed, ...principal }, options),
  }));
  writeOutput({ workloads: found }, options.output, () => asTable(found), io);
  return found.every(({ isComplete }) => isComplete) ? EXIT.ok : EXIT.other;
}

function asTable(found: readonly ({ readonly workload: string } & AccessReport)[]): string {
  const rows = found.flatMap(({ accesses, workload }) =>
    accesses.map(({ by, example, what, who }) => [workload, who, what.join(', '), by, describeRequest(example)]),
  );
  const open = found.filter(({ isComplete }) => !isComplete).map(({ workload }) => `${workload}: there may be more\n`);
  return (rows.length === 0 ? 'nobody, nothing\n' : table(['WORKLOAD', 'WHO', 'WHAT', 'BY', 'EXAMPLE'], rows)) + open.join('');
}

function titleOf({ labels, namespace, serviceAccount }: Workload): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return `${namespace}${serviceAccount === null ? '' : `/${serviceAccount}`}${pairs.length === 0 ? '' : ` (${pairs.join(',')})`}`;
}

const MAX_WORKLOADS = 100;
