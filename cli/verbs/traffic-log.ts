/**
 * Requests out of what a sidecar writes as JSON lines: its access log, or flow records. Lines that are no inbound request (raw TCP,
 * connections that ended before one, the workload's own calls) are passed over and counted.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

import type { LoggedRequest } from '#authz/analyse/coverage.ts';
import { FLOW_SCHEMA } from '#proto/flow-record.ts';

import { EXIT, ExitError } from '../exit.ts';

export interface LogCounts {
  /** Inbound requests. */
  readonly requests: number;
  /** Lines of something else. */
  readonly passedOver: number;
}

/** @throws {ExitError} with status 65 for a file that cannot be read or a line that is no JSON object */
export async function readTraffic(file: string, take: (request: LoggedRequest) => void): Promise<LogCounts> {
  let [number, requests] = [0, 0];
  let lines = 0;
  try {
    for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
      number++;
      if (line.trim() === '') continue;
      lines++;
      const request = requestOf(parseLine(line, `${file}:${number}`));
      if (request === null) continue;
      requests++;
      take(request);
    }
  } catch (error) {
    if (error instanceof ExitError) throw error;
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new ExitError(EXIT.data, `Cannot read "${file}": ${why}`);
  }
  return { requests, passedOver: lines - requests };
}

type Members = Readonly<Record<string, unknown>>;

function parseLine(line: string, where: string): Members {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    value = null;
  }
  if (isMembers(value)) return value;
  throw new ExitError(EXIT.data, `Cannot read ${where}: wanted a JSON object`, 'Name an access log in JSON, or flow records');
}

function requestOf(line: Members): LoggedRequest | null {
  const isFlow = line['schema'] === FLOW_SCHEMA;
  const request = isFlow ? line['request'] : line;
  const cluster = line['upstream_cluster'];
  const isOutbound = isFlow ? line['direction'] !== 'inbound' : typeof cluster === 'string' && cluster.startsWith('outbound|');
  if (isOutbound || !isMembers(request)) return null;
  const { method, path } = request;
  if (typeof method !== 'string' || typeof path !== 'string' || method === '' || path === '') return null;
  const decision = isFlow && isMembers(line['decision']) ? line['decision']['effect'] : line['decision'];
  // Other proxies' logs have no decision: what was answered is all that there is to see.
  const isAllowed = typeof decision === 'string' ? decision === 'allow' : line['response_code'] !== 403;
  const query = path.indexOf('?');
  return { method, path: query < 0 ? path : path.slice(0, query), isAllowed };
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
