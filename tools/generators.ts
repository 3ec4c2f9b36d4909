/**
 * What is written from the product's own tables, and how: a row here makes a file, `npm run generate` writes it and the check
 * compares it. To add one, add a row.
 */
import { DECISION_CODES } from '#authz/engine/input.ts';
import { MESSAGE_CODES } from '#authz/policy/messages.ts';
import { JWT_CODES } from '#certs/jwt/codes.ts';
import { SVID_REFUSALS } from '#certs/refusal.ts';
import { configJsonSchema } from '#proto/config/json-schema.ts';
import { CONFIG_MESSAGES } from '#proto/config/messages.ts';
import { FAILURES } from '#proxy/failure.ts';
import { METRICS } from '#proxy/report/metrics.ts';

import { configurationReference } from './configuration-reference.ts';
import { code, table } from './markdown.ts';

export interface Generated {
  /** Relative to the root. */
  readonly file: string;
  /** The table or schema that it is written from, relative to the root. */
  readonly from: string;
  readonly write: () => string;
}

export const GENERATED: readonly Generated[] = [
  { file: 'docs/reference/decision-codes.md', from: 'authz/engine/input.ts', write: decisionCodes },
  { file: 'docs/reference/failure-codes.md', from: 'proxy/failure.ts', write: failureCodes },
  { file: 'docs/reference/token-refusals.md', from: 'certs/jwt/codes.ts', write: tokenCodes },
  { file: 'docs/reference/svid-refusals.md', from: 'certs/refusal.ts', write: svidRefusals },
  { file: 'docs/reference/metrics.md', from: 'proxy/report/metrics.ts', write: metrics },
  { file: 'docs/reference/messages.md', from: 'authz/policy/messages.ts and proto/config/messages.ts', write: messages },
  {
    file: 'docs/reference/configuration.md',
    from: 'proto/config/schema.ts',
    write: () => configurationReference(configJsonSchema()),
  },
  { file: 'schemas/proxy.v1alpha1.json', from: 'proto/config/schema.ts', write: () => json(configJsonSchema()) },
];

function decisionCodes(): string {
  const rows = Object.entries(DECISION_CODES).map(([name, what]) => [code(name), sentence(what)]);
  return `# Decision codes

Why a decision is what it is: \`code\` in the answers of \`postern policy decide\`, \`decision_code\` in the access log.

${table(['code', 'what it says'], rows)}`;
}

/** Some of the texts are parts of sentences elsewhere. */
function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`;
}

function failureCodes(): string {
  const rows = Object.entries(FAILURES).map(([name, row]) => [
    code(name),
    row.http === 0 ? '-' : String(row.http),
    String(row.grpc),
    code(row.flag),
    row.source,
    row.retry,
    row.closes ? 'yes' : 'no',
    row.what,
  ]);
  return `# Failure codes

Every way in which a request or a connection can fail. A reply carries the code in \`x-postern-reason\`, the access log in
\`response_code_details\`. Without an HTTP status no reply is made: the connection just ends. *ends* tells whether the caller's
connection ends with it.

${table(['code', 'HTTP', 'gRPC', 'flag', 'at fault', 'retry', 'ends', 'what happened'], rows)}`;
}

function tokenCodes(): string {
  const rows = Object.entries(JWT_CODES).map(([name, what]) => [code(name), what]);
  return `# Refusals of a token

Why the token of a user is not taken: the code of \`postern jwt verify\`. In about the order in which they are judged.

${table(['code', 'what is wrong'], rows)}`;
}

function svidRefusals(): string {
  const rows = Object.entries(SVID_REFUSALS).map(([name, { clause, what }]) => [code(name), clause, what]);
  return `# Refusals of an SVID

Why a peer's certificate is not accepted: the code of \`postern identity verify\`, and in brackets behind \`svid_refused\` in
\`response_code_details\` of the access log. In about the order in which they are judged; the first that holds is told.

${table(['code', 'clause', 'what is wrong'], rows)}`;
}

function metrics(): string {
  const rows = Object.entries(METRICS).map(([name, { labels, help }]) => [code(name), labels.map(code).join(', '), help]);
  return `# Metrics

What \`/metrics\` on the status port tells Prometheus.

${table(['metric', 'labels', 'what it counts'], rows)}`;
}

function messages(): string {
  const codes = { ...MESSAGE_CODES, ...CONFIG_MESSAGES };
  const rows = Object.entries(codes).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `# Messages

What can be wrong with a file that Postern reads. Each message names the file, line and column; its text may change, its code
does not.

${table(
  ['code', 'what is wrong'],
  rows.map(([name, what]) => [code(name), what]),
)}`;
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
