/**
 * `postern policy validate`: of each document whether it is valid, and if not what is wrong, where, and how to mend it. Documents
 * are looked at together, too: whether one allows more than a ceiling above it, and what of them is not held to.
 */
import { PosternError } from '#base/error.ts';
import { findWidenings } from '#authz/analyse/widening.ts';
import { readDescribedPolicies } from '#authz/api/described-apis.ts';
import type { PolicyLoss } from '#authz/policy/losses.ts';
import type { PolicyFault, Position, Workload } from '#authz/policy/model.ts';
import type { PolicySet } from '#authz/policy/policy-set.ts';
import type { DocumentReport } from '#authz/policy/read.ts';
import { selectPolicies } from '#authz/policy/select.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';

import { EXIT } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import type { VerbStreams } from './verb.ts';

export interface PolicyValidateOptions {
  /** Files and folders. */
  readonly files: readonly string[];
  readonly ignoreKinds: boolean;
  readonly rootNamespace: string;
  /** Of policies that begin or expire, milliseconds since 1970. */
  readonly nowMs: number;
}

/** Writes a line for each document, and one for each file that could not be read as documents; 65 when any is invalid. */
export async function policyValidate(options: PolicyValidateOptions, io: VerbStreams): Promise<ExitStatus> {
  const { documents, faults, set } = await readDescribedPolicies(options.files, { ignoreKinds: options.ignoreKinds });
  const ofDocuments = new Set(documents.flatMap((document) => document.faults));
  const ofFiles = Map.groupBy(
    faults.filter((fault) => !ofDocuments.has(fault)),
    ({ file }) => file,
  );
  const together = judgeTogether(set, documents, options);
  const lines: object[] = [];
  for (const [file, wrong] of ofFiles)
    lines.push({ file, line: wrong[0]?.line ?? 0, kind: null, name: null, ok: false, errors: wrong.map(error) });
  for (const document of documents) if (!document.isIgnored) lines.push(documentLine(document, together));
  if (lines.length > 0) io.stdout.write(`${lines.map((line) => JSON.stringify(line)).join('\n')}\n`);
  return faults.length > 0 || together.faults.size > 0 ? EXIT.data : EXIT.ok;
}

interface Together {
  readonly faults: ReadonlyMap<DocumentReport, readonly PolicyFault[]>;
  readonly losses: readonly PolicyLoss[];
}

/** Every kind of workload that the documents tell apart, as far as there are not too many. */
function judgeTogether(set: PolicySet, documents: readonly DocumentReport[], options: PolicyValidateOptions): Together {
  const faults = new Map<DocumentReport, Map<string, PolicyFault>>();
  const losses = new Map<string, PolicyLoss>();
  for (const workload of workloadsOf(set).slice(0, MAX_WORKLOADS)) {
    const selected = selectFor(set, workload, options);
    if (selected === null) continue;
    for (const loss of selected.losses) losses.set(JSON.stringify(loss), loss);
    for (const { position, text } of findWidenings(selected)) {
      const document = documentAt(documents, position);
      if (document === undefined) continue;
      const fix = 'Narrow the rule to what the ceiling allows';
      const message = `Cannot compile the policy: ${text}`;
      const known = faults.get(document) ?? new Map<string, PolicyFault>();
      faults.set(
        document,
        known.set(`${position.line}:${position.column}`, { ...position, code: 'PN0401', path: '', message, fix }),
      );
    }
  }
  return {
    faults: new Map([...faults].map(([document, found]) => [document, [...found.values()]])),
    losses: [...losses.values()],
  };
}

/** Null where an operation is named whose API is imported elsewhere: nothing is known of it here. */
function selectFor(set: PolicySet, workload: Workload, { nowMs, rootNamespace }: PolicyValidateOptions): WorkloadPolicies | null {
  try {
    return selectPolicies(set, workload, { rootNamespace, trustDomain: 'cluster.local', trustDomainAliases: [], nowMs });
  } catch (failure) {
    if (failure instanceof PosternError) return null;
    throw failure;
  }
}

function workloadsOf({ apis, inventories, policies, trees }: PolicySet): readonly Workload[] {
  const found = new Map<string, Workload>();
  const add = (namespace: string, labels: Workload['labels']): void =>
    void found.set(JSON.stringify([namespace, labels]), { namespace, labels, serviceAccount: null });
  for (const { namespace, scope, selector } of policies) if (scope === null) add(namespace ?? 'default', selector);
  for (const { namespace, selector } of apis) add(namespace ?? 'default', selector);
  for (const { paths } of trees) for (const namespace of Object.keys(paths)) add(namespace, {});
  for (const { workloads } of inventories) for (const { labels, namespace } of workloads) add(namespace, labels);
  return [...found.values()];
}

function documentAt(documents: readonly DocumentReport[], { file, line }: Position): DocumentReport | undefined {
  return documents.findLast(({ position }) => position.file === file && position.line <= line);
}

function documentLine(document: DocumentReport, together: Together): object {
  const { faults, kind, name, namespace, position } = document;
  const { file, line } = position;
  const known = { file, line, kind: orNull(kind), name: orNull(name) };
  const errors = [...faults, ...(together.faults.get(document) ?? [])];
  if (errors.length > 0) return { ...known, ok: false, errors: errors.map(error) };
  const titles = [name, `${namespace}/${name}`];
  const canLose = kind.endsWith('NetworkPolicy') || kind === 'APIDefinition';
  const warnings = canLose ? together.losses.filter(({ policy }) => titles.includes(policy)) : [];
  if (warnings.length === 0) return { ...known, ok: true };
  return { ...known, ok: true, warnings: warnings.map(({ code, message }) => ({ code, message })) };
}

function error({ path, line, column, code, message, fix }: PolicyFault): object {
  return { path, line, column, code, message, fix };
}

function orNull(text: string): string | null {
  return text === '' ? null : text;
}

const MAX_WORKLOADS = 200;
