/**
 * Decision log events and status documents in OPA's format (its management APIs), as plain objects. Nothing here sends them; what
 * is masked never gets into an event.
 */
import { parseJson, toJson } from './json.ts';
import { applyPatches } from './builtins/json-patch.ts';
import { RegoObject, objectOf } from './value.ts';
import type { RegoValue } from './value.ts';
import type { EvaluatorAnswer } from './evaluator.ts';

export interface DecisionRecord {
  readonly labels: Readonly<Record<string, string>>;
  readonly decisionId: string;
  readonly traceId?: string;
  readonly spanId?: string;
  readonly bundle: { readonly name: string; readonly revision: string };
  /** Path of the rule, with slashes. */
  readonly path: string;
  /** JSON. */
  readonly input: string;
  readonly answer: EvaluatorAnswer;
  readonly requestedBy?: string;
  /** Milliseconds since 1970. */
  readonly timestampMs: number;
  readonly evaluationNs: number;
  /** JSON pointers below `/input` and `/result` to be erased, as `data.system.log.mask` names them. */
  readonly erase: readonly string[];
}

/** One event, as JSON. */
export function decisionEvent(record: DecisionRecord): string {
  const { answer, bundle, decisionId, evaluationNs, labels, path, requestedBy, spanId, timestampMs, traceId } = record;
  const input = valueOf(record.input);
  const documents = objectOf(input === undefined ? [] : [['input', input]]);
  const result = answer.ok ? valueOf(answer.json) : undefined;
  if (result !== undefined) documents.insert('result', result);
  const { erased, masked } = eraseFrom(documents, record.erase);
  const members: (readonly [string, string | undefined])[] = [
    ['labels', JSON.stringify(labels)],
    ['decision_id', JSON.stringify(decisionId)],
    ['trace_id', traceId === undefined ? undefined : JSON.stringify(traceId)],
    ['span_id', spanId === undefined ? undefined : JSON.stringify(spanId)],
    ['bundles', JSON.stringify({ [bundle.name]: { revision: bundle.revision } })],
    ['path', JSON.stringify(path)],
    ['input', memberJson(masked, 'input')],
    ['result', memberJson(masked, 'result')],
    ['erased', erased.length === 0 ? undefined : JSON.stringify(erased)],
    ['error', answer.ok ? undefined : JSON.stringify({ code: answer.code, message: answer.message })],
    ['requested_by', requestedBy === undefined ? undefined : JSON.stringify(requestedBy)],
    ['timestamp', JSON.stringify(new Date(timestampMs).toISOString())],
    ['metrics', JSON.stringify({ timer_rego_query_eval_ns: evaluationNs })],
  ];
  return `{${members.flatMap(([name, json]) => (json === undefined ? [] : [`"${name}":${json}`])).join(',')}}`;
}

export interface BundleStatus {
  readonly name: string;
  readonly activeRevision: string | null;
  readonly size: number;
  readonly type: 'snapshot';
  /** Milliseconds since 1970, or null for never. */
  readonly lastRequestMs: number | null;
  readonly lastSuccessfulRequestMs: number | null;
  readonly lastSuccessfulDownloadMs: number | null;
  readonly lastSuccessfulActivationMs: number | null;
  /** What is wrong with what was fetched last, or null. */
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** OPA's status document, as JSON. */
export function statusDocument(labels: Readonly<Record<string, string>>, bundles: readonly BundleStatus[]): string {
  return JSON.stringify({
    labels,
    bundles: Object.fromEntries(bundles.map((bundle) => [bundle.name, bundleStatus(bundle)])),
    plugins: {
      bundle: { state: bundles.every(({ activeRevision }) => activeRevision !== null) ? 'OK' : 'NOT_READY' },
    },
  });
}

function bundleStatus(bundle: BundleStatus): object {
  const { activeRevision, error, name, size, type } = bundle;
  const time = (ms: number | null): string | undefined => (ms === null ? undefined : new Date(ms).toISOString());
  return {
    name,
    active_revision: activeRevision ?? undefined,
    size,
    type,
    last_request: time(bundle.lastRequestMs),
    last_successful_request: time(bundle.lastSuccessfulRequestMs),
    last_successful_download: time(bundle.lastSuccessfulDownloadMs),
    last_successful_activation: time(bundle.lastSuccessfulActivationMs),
    code: error === null ? undefined : 'bundle_error',
    message: error === null ? undefined : `${error.code}: ${error.message}`,
  };
}

function eraseFrom(documents: RegoObject, pointers: readonly string[]): { masked: RegoObject; erased: readonly string[] } {
  let masked = documents;
  const erased: string[] = [];
  for (const pointer of pointers) {
    if (!/^\/(?:input|result)(?:\/|$)/u.test(pointer)) continue;
    const next = applyPatches(masked, [
      objectOf([
        ['op', 'remove'],
        ['path', pointer],
      ]),
    ]);
    if (!(next instanceof RegoObject)) continue;
    masked = next;
    erased.push(pointer);
  }
  return { masked, erased };
}

function valueOf(json: string): RegoValue | undefined {
  const reading = parseJson(json);
  return reading.ok ? reading.value : undefined;
}

function memberJson(documents: RegoObject, name: string): string | undefined {
  const value = documents.find(name);
  return value === undefined ? undefined : toJson(value);
}
