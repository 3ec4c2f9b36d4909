/**
 * `postern policy diff BEFORE AFTER`: what two sets of policies decide differently, as requests that the interpreter has judged, or
 * the proof that they decide alike. Each workload that the documents tell apart is looked at, or the one that is named.
 */
import { findDifference } from '#authz/analyse/difference.ts';
import type { Difference } from '#authz/analyse/difference.ts';
import { describeRequest } from '#authz/analyse/realise.ts';
import { workloadsToldApart } from '#authz/analyse/workloads.ts';
import type { Decision } from '#authz/engine/input.ts';
import type { Workload } from '#authz/policy/model.ts';
import { joinSets } from '#authz/policy/policy-set.ts';
import { selectPolicies } from '#authz/policy/select.ts';

import { EXIT } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import { table } from '../table.ts';
import { readSoundPolicies, readWorkload, writeOutput } from './policy-output.ts';
import type { OutputFormat, PolicyQuery } from './policy-output.ts';
import type { VerbStreams } from './verb.ts';

export interface PolicyDiffOptions extends PolicyQuery {
  /** Files or folders, one for each side. */
  readonly before: string;
  readonly after: string;
  /** `NAMESPACE/ACCOUNT`; null for every workload that the documents tell apart. */
  readonly workload: string | null;
  readonly labels: readonly string[];
  readonly whenNoneSelects: 'allow' | 'deny';
  /** Requests told of a workload. */
  readonly limit: number;
  /** Steps of the search for each workload. */
  readonly budget: number;
  readonly output: OutputFormat;
}

/** 0 when both decide alike, 79 when they differ, 1 when that could not be settled within the budget. */
export async function policyDiff(options: PolicyDiffOptions, io: VerbStreams): Promise<ExitStatus> {
  const before = await readSoundPolicies([options.before], options.ignoreKinds, io);
  const after = await readSoundPolicies([options.after], options.ignoreKinds, io);
  if (before === undefined || after === undefined) throw new Error('two sets are read');
  const workloads =
    options.workload === null
      ? workloadsToldApart(joinSets([before, after]), options.rootNamespace, MAX_WORKLOADS)
      : [readWorkload(options.workload, options.labels)];
  const found = workloads.map((workload) => {
    const [one, other] = [before, after].map((set) => selectPolicies(set, workload, options));
    if (one === undefined || other === undefined) throw new Error('two sets are selected');
    return { workload, difference: findDifference(one, other, options) };
  });
  const result = worstOf(found.map(({ difference }) => difference.result));
  const told = {
    result,
    workloads: found.map(({ difference, workload }) => ({ workload: titleOf(workload), ...plain(difference) })),
  };
  writeOutput(told, options.output, () => asTable(found), io);
  return result === 'equal' ? EXIT.ok : result === 'different' ? EXIT.findings : EXIT.other;
}

interface Found {
  readonly workload: Workload;
  readonly difference: Difference;
}

function plain({ budget, changed, isComplete, reason, result, steps, witnesses }: Difference): object {
  return {
    result,
    reason,
    isComplete,
    changedClauses: changed,
    steps,
    budget,
    requests: witnesses.map(({ after, before, request }) => ({
      ...request,
      before: decisionOf(before),
      after: decisionOf(after),
    })),
  };
}

function decisionOf({ code, effect, policy, rule }: Decision): object {
  return { decision: effect, code, policy, rule };
}

function asTable(found: readonly Found[]): string {
  const rows = found.flatMap(({ difference, workload }) =>
    difference.witnesses.map(({ after, before, request }) => [
      titleOf(workload),
      causeOf(before),
      causeOf(after),
      describeRequest(request),
    ]),
  );
  const open = found.filter(({ difference }) => difference.result === 'undecided');
  const lines = open.map(({ difference, workload }) => `${titleOf(workload)}: undecided, ${difference.reason ?? ''}\n`);
  const partial = found.filter(({ difference }) => difference.result === 'different' && !difference.isComplete);
  if (partial.length > 0) lines.push('there may be more\n');
  if (rows.length === 0 && open.length === 0) return 'no request is decided differently\n';
  return (rows.length === 0 ? '' : table(['WORKLOAD', 'BEFORE', 'AFTER', 'REQUEST'], rows)) + lines.join('');
}

function causeOf({ code, effect, policy, rule }: Decision): string {
  return policy === null ? `${effect} (${code})` : `${effect} (${policy}${rule === null ? '' : `#${rule}`})`;
}

function titleOf({ labels, namespace, serviceAccount }: Workload): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return `${namespace}${serviceAccount === null ? '' : `/${serviceAccount}`}${pairs.length === 0 ? '' : ` (${pairs.join(',')})`}`;
}

function worstOf(results: readonly Difference['result'][]): Difference['result'] {
  return results.find((result) => result === 'different') ?? results.find((result) => result === 'undecided') ?? 'equal';
}

const MAX_WORKLOADS = 100;
