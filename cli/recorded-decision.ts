/** A decision as the admin socket tells it (`GET /decisions/ID`), or as much of it as the access log has. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

import { z } from 'zod';

const decisionSchema = z.object({
  effect: z.enum(['allow', 'deny']),
  code: z.string(),
  policy: z.string().nullable(),
  rule: z.string().nullable(),
  revision: z.string(),
});

/** What a user's token said that was proved. */
const tokenSchema = z.object({
  issuer: z.string(),
  subject: z.string(),
  audiences: z.array(z.string()),
  presenter: z.string().nullable(),
  claims: z.record(z.string(), z.unknown()),
});

const requestSchema = z.object({
  method: z.string(),
  authority: z.string(),
  path: z.string(),
  headers: z.array(z.tuple([z.string(), z.string()])),
  tokens: z.array(tokenSchema).default([]),
});

const connectionSchema = z.object({
  principal: z.string().nullable(),
  sourceIp: z.string(),
  remoteIp: z.string(),
  destinationIp: z.string(),
  destinationPort: z.number(),
  sni: z.string().nullable(),
  tls: z.boolean(),
  protocol: z.enum(['http', 'http2', 'grpc', 'tcp']),
});

/** What the ring of a sidecar holds of one decision. */
export const recordedSchema = z.object({
  id: z.string(),
  at: z.string(),
  decision: decisionSchema,
  /** The failure code of the reply. */
  reason: z.string().nullish(),
  input: z.object({ connection: connectionSchema, request: requestSchema.nullable() }),
  model: z.base64().nullable(),
});

export type RecordedDecision = z.output<typeof recordedSchema>;

/** The same with the values of fields that carry credentials, and claims of users, put out of sight: it goes to a terminal, a ticket, a chat. */
export function withoutSecrets(recorded: RecordedDecision): RecordedDecision {
  const { connection, request } = recorded.input;
  if (request === null) return recorded;
  const headers = request.headers.map(([name, value]): [string, string] => [
    name,
    SECRET_FIELDS.has(name) ? '(not shown)' : value,
  ]);
  const tokens = request.tokens.map((token) => ({ ...token, claims: {} }));
  return { ...recorded, input: { connection, request: { ...request, headers, tokens } } };
}

/** What a line of the access log holds of it: no headers and no model. */
export const loggedSchema = z.object({
  decision_id: z.string(),
  start_time: z.string(),
  decision: z.enum(['allow', 'deny']),
  decision_code: z.string(),
  reason: z.string().nullish(),
  policy: z.string().nullable(),
  rule: z.string().nullable(),
  policy_revision: z.string(),
  source_principal: z.string().nullable(),
  method: z.string().nullable(),
  authority: z.string().nullable(),
  path: z.string().nullable(),
  downstream_remote_address: z.string().nullish(),
});

export type LoggedDecision = z.output<typeof loggedSchema>;

/** Looks through an access log, line by line in bounded memory; null when the id is not in it. Rejects as the file system does. */
export async function findLogged(file: string, id: string): Promise<LoggedDecision | null> {
  const stream = createReadStream(file);
  const lines = createInterface({ input: stream, crlfDelay: Infinity });
  const mark = `"decision_id":${JSON.stringify(id)}`;
  try {
    for await (const line of lines) {
      if (!line.includes(mark)) continue;
      const parsed = loggedSchema.safeParse(parseLine(line));
      if (parsed.success && parsed.data.decision_id === id) return parsed.data;
    }
    return null;
  } finally {
    lines.close();
    stream.destroy();
  }
}

/** A line that was cut off when the log was rotated is no JSON. */
function parseLine(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return null;
  }
}

const SECRET_FIELDS = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'x-api-key',
  'x-auth-token',
  'x-amz-security-token',
]);
