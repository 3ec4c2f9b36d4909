/**
 * `postern api coverage`: of each operation of an API who may call it, and with logs how often it was called; of the logs what no
 * operation knows.
 */
import { TrafficCount, operationAccess } from '#authz/analyse/coverage.ts';
import type { ShadowEndpoint } from '#authz/analyse/coverage.ts';
import type { Access } from '#authz/analyse/access.ts';
import type { ApiOperation } from '#authz/policy/api-definition.ts';
import { hasLabels } from '#authz/policy/model.ts';
import type { Workload } from '#authz/policy/model.ts';
import type { PolicySet } from '#authz/policy/policy-set.ts';
import { selectPolicies } from '#authz/policy/select.ts';

import { EXIT, ExitError } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import { table } from '../table.ts';
import { readApiSources, tellRefusals } from './api-sources.ts';
import type { ApiSourceOptions } from './api-sources.ts';
import { workloadNamed } from './policy-cases.ts';
import { readSoundPolicies, writeOutput } from './policy-output.ts';
import type { OutputFormat, PolicyQuery } from './policy-output.ts';
import { readTraffic } from './traffic-log.ts';
import type { VerbStreams } from './verb.ts';

export interface ApiCoverageOptions extends PolicyQuery {
  /** Descriptions; without any, the definitions that stand beside the policies. */
  readonly sources: ApiSourceOptions;
  readonly policies: readonly string[];
  /** `NAMESPACE/NAME` of the workload whose API it is; null for the one that the definition selects. */
  readonly to: string | null;
  readonly logs: readonly string[];
  readonly whenNoneSelects: 'allow' | 'deny';
  /** Steps for all operations together; null for the usual ones. */
  readonly budget: number | null;
  readonly output: OutputFormat;
}

/** 79 when something is not covered, else 1 when there may be more callers, else 0; 65 for what cannot be read. */
export async function apiCoverage(options: ApiCoverageOptions, io: VerbStreams): Promise<ExitStatus> {
  const set = await readSoundPolicies(options.policies, options.ignoreKinds, io);
  const api = await readApi(options, set, io);
  if (api === null) return EXIT.data;
  const { operations, workload } = api;
  const traffic = new TrafficCount(operations);
  let [requests, passedOver] = [0, 0];
  for (const log of options.logs) {
    const counts = await readTraffic(log, (request) => traffic.add(request));
    requests += counts.requests;
    passedOver += counts.passedOver;
  }
  const selected = selectPolicies(set, workload, options);
  const budget = Math.max(LEAST_STEPS, Math.floor((options.budget ?? STEPS) / Math.max(1, operations.length)));
  const rows = operations.map((operation): CoverageRow => {
    const { id, method, path, tags } = operation;
    const { accesses, isComplete } = operationAccess(selected, operation, operations, { ...options, budget });
    const counts = options.logs.length === 0 ? null : (traffic.ofOperations.get(operation) ?? { requests: 0, denied: 0 });
    const findings: CoverageFinding[] = [];
    if (accesses.length === 0) findings.push(isComplete ? 'unreachable' : 'undecided');
    if (counts?.requests === 0) findings.push('unused');
    return { id, method, path, tags, callers: accesses, isComplete, traffic: counts, findings };
  });
  const log = options.logs.length === 0 ? null : { requests, passedOver, shadows: traffic.shadows, unlisted: traffic.unlisted };
  writeOutput({ workload, operations: rows, log }, options.output, () => asTable(rows, log), io);
  const isFound = rows.some(({ findings }) => findings.some((finding) => finding !== 'undecided'));
  if (isFound || traffic.shadows.length > 0) return EXIT.findings;
  return rows.every(({ isComplete }) => isComplete) ? EXIT.ok : EXIT.other;
}

/** `unreachable`: no rule lets anybody do it. `unused`: no request of the logs did it. */
type CoverageFinding = 'unreachable' | 'undecided' | 'unused';

interface CoverageRow {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly tags: readonly string[];
  readonly callers: readonly Access[];
  /** Whether no caller was left out. */
  readonly isComplete: boolean;
  /** Null without logs. */
  readonly traffic: { readonly requests: number; readonly denied: number } | null;
  readonly findings: readonly CoverageFinding[];
}

interface LogRow {
  readonly requests: number;
  /** Lines that are no inbound request. */
  readonly passedOver: number;
  readonly shadows: readonly ShadowEndpoint[];
  /** Requests of further shadow endpoints. */
  readonly unlisted: number;
}

interface CoveredApi {
  readonly operations: readonly ApiOperation[];
  readonly workload: Workload;
}

/** Null when a description is refused; that was told. */
async function readApi({ sources, to }: ApiCoverageOptions, set: PolicySet, io: VerbStreams): Promise<CoveredApi | null> {
  if (sources.files.length === 0 && sources.reflection === null) return definedApi(set, to);
  if (to === null) throw new ExitError(EXIT.usage, 'Cannot tell whose API it is: name the workload with --to NAMESPACE/NAME');
  const read = await readApiSources(sources);
  if (tellRefusals(read, io)) return null;
  return { operations: read.flatMap(({ description }) => description?.operations ?? []), workload: workloadNamed(to, set) };
}

/** Operations of all definitions of one workload. */
function definedApi({ apis, ...set }: PolicySet, to: string | null): CoveredApi {
  if (to !== null) {
    const workload = workloadNamed(to, { apis, ...set });
    const own = apis.filter(
      ({ namespace, selector }) => (namespace ?? workload.namespace) === workload.namespace && hasLabels(workload, selector),
    );
    if (own.length > 0) return { operations: own.flatMap(({ operations }) => operations), workload };
    throw new ExitError(EXIT.data, `Cannot find the API of "${to}": no APIDefinition selects it`, 'Name its description');
  }
  const byWorkload = Map.groupBy(apis, ({ namespace, selector }) => JSON.stringify([namespace, selector]));
  const [first, ...others] = byWorkload.values();
  const [one] = first ?? [];
  if (first === undefined || one === undefined || others.length > 0) {
    const found = one === undefined ? 'no APIDefinition' : 'APIs of several workloads';
    throw new ExitError(EXIT.usage, `Cannot tell whose API it is: found ${found}`, 'Name a description, or --to NAMESPACE/NAME');
  }
  const workload = { namespace: one.namespace ?? 'default', labels: one.selector, serviceAccount: null };
  return { operations: first.flatMap(({ operations }) => operations), workload };
}

function asTable(rows: readonly CoverageRow[], log: LogRow | null): string {
  const headings = ['OPERATION', 'METHOD', 'PATH', 'CALLERS', 'REQUESTS', 'DENIED', 'FINDING'];
  const operations = table(
    headings,
    rows.map(({ callers, findings, id, isComplete, method, path, traffic }) => {
      const who = [...new Set(callers.map((caller) => caller.who))].join('; ') || 'nobody';
      const told = isComplete ? who : `${who}; perhaps more`;
      return [id, method, path, told, traffic?.requests ?? null, traffic?.denied ?? null, findings.join(', ')];
    }),
  );
  if (log === null || log.shadows.length === 0) return operations;
  const shown = log.shadows.slice(0, MAX_SHOWN);
  const shadows = table(
    ['METHOD', 'UNKNOWN PATH', 'REQUESTS', 'DENIED'],
    shown.map(({ denied, method, path, requests }) => [method, path, requests, denied]),
  );
  const more = log.shadows.length - shown.length;
  return `${operations}\n${shadows}${more > 0 ? `and ${more} more\n` : ''}`;
}

const STEPS = 20_000_000;
const LEAST_STEPS = 100_000;
const MAX_SHOWN = 50;
