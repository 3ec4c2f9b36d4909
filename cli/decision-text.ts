/** Decisions and codes as a person reads them on a terminal. */
import type { Explanation } from '#authz/engine/explain.ts';

import type { CodeDoc } from './code-docs.ts';
import { codeDocs } from './code-docs.ts';
import type { LoggedDecision, RecordedDecision } from './recorded-decision.ts';
import { printable } from './table.ts';

/** One meaning of a code. */
export function codeText({ code, kind, what, docs }: CodeDoc): string {
  return `${code} (${kind})\n  ${what}\n${docs === null ? '' : `  docs: ${docs}\n`}`;
}

/** A decision with everything that it was made from. */
export function recordedText({ id, at, decision, input, reason }: RecordedDecision, explanation: Explanation | null): string {
  const { connection, request } = input;
  const operation = request === null ? 'a TCP connection' : `${request.method} ${request.path} on ${request.authority}`;
  const from = `${connection.principal ?? 'nobody (no verified identity)'}, address ${connection.remoteIp}`;
  return lines(decision.effect, id, at, [
    ['request', operation],
    ['from', from],
    ['to', `port ${connection.destinationPort}${connection.tls ? '' : ', plaintext'}`],
    ...(request?.tokens ?? []).map(({ issuer, subject }): Row => ['user', `${issuer}/${subject}`]),
    ...(request?.headers ?? []).map(([name, value]): Row => ['header', `${name}: ${value}`]),
    ['code', withMeaning(decision.code)],
    ['reason', reasonText(reason)],
    ['policy', decision.policy],
    ['rule', decision.rule],
    ...whyRows(explanation),
    ['revision', decision.revision],
  ]);
}

/** The rule that decided, or the one that came nearest and each thing that it missed. */
function whyRows(explanation: Explanation | null): Row[] {
  if (explanation === null) return [];
  const { matched, nearest } = explanation;
  if (matched !== null) return [['at', `${matched.position.file}:${matched.position.line}`]];
  if (nearest === null) return [['why', explanation.text]];
  const misses = nearest.misses.map(({ text }): Row => ['nearest', `${nearest.policy}#${nearest.rule}: ${text}`]);
  return [...misses, ['at', `${nearest.position.file}:${nearest.position.line}`]];
}

/** A decision as the access log has it: without the model, so without its nearest miss. */
export function loggedText(logged: LoggedDecision): string {
  const { method, path, authority } = logged;
  const text = lines(logged.decision, logged.decision_id, logged.start_time, [
    ['request', method === null ? null : `${method} ${path ?? ''} on ${authority ?? '-'}`],
    ['from', `${logged.source_principal ?? 'nobody (no verified identity)'}, address ${logged.downstream_remote_address ?? '-'}`],
    ['code', withMeaning(logged.decision_code)],
    ['reason', reasonText(logged.reason)],
    ['policy', logged.policy],
    ['rule', logged.rule],
    ['revision', logged.policy_revision],
  ]);
  return `${text}  (from the access log; the sidecar's own memory of it also has the nearest miss)\n`;
}

type Row = readonly [string, string | null];

function lines(effect: 'allow' | 'deny', id: string, at: string, rows: readonly Row[]): string {
  const head = `${effect === 'allow' ? 'allowed' : 'denied'}  ${printable(id)}  ${printable(at)}\n`;
  const shown = rows.filter(([, value]) => value !== null);
  return head + shown.map(([name, value]) => `  ${`${name}:`.padEnd(10)}${printable(value ?? '')}\n`).join('');
}

/** Only where it says more than that a policy denied. */
function reasonText(reason: string | null | undefined): string | null {
  if (reason === null || reason === undefined || reason === 'denied_by_policy') return null;
  const doc = codeDocs(reason).find(({ kind }) => kind === 'failure code');
  return doc === undefined ? reason : `${reason}: ${doc.what}`;
}

function withMeaning(code: string): string {
  const doc = codeDocs(code).find(({ kind }) => kind === 'decision code');
  return doc === undefined ? code : `${code}: ${doc.what}`;
}
