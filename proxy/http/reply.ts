/** Replies that the proxy makes itself: one per failure, its fixed part made at start. Hot path. */
import { encodeGrpcMessage } from '#wire/grpc/status.ts';
import { writeText } from '#wire/h1/serialise.ts';
import type { Denial } from '../authorizers/authorizer.ts';
import { FAILURES, type Failure } from '../failure.ts';
import { challengeOf } from '../token-failures.ts';
import type { Exchange } from '../exchange.ts';
import { scratch, type Outlet } from '../io/outlet.ts';

/** Writes the reply to a failed exchange. */
export function writeReply(outlet: Outlet, exchange: Exchange, failure: Failure, closes: boolean): void {
  if (exchange.denial !== null) return writeDenial(outlet, exchange, exchange.denial, failure, closes);
  const isHeadMethod = exchange.method === 'HEAD';
  const reply = REPLIES[failure];
  let at = outlet.reserve(reply.head.length + reply.body.length + 256);
  at += reply.head.copy(scratch, at);
  if (exchange.decision !== null) at = writeText(scratch, at, `x-postern-decision-id: ${exchange.decisionId()}\r\n`);
  if (exchange.requestId !== '') at = writeText(scratch, at, `x-request-id: ${exchange.requestId.slice(0, 128)}\r\n`);
  if (closes) at += CLOSE.copy(scratch, at);
  scratch[at++] = 13;
  scratch[at++] = 10;
  if (!isHeadMethod) at += reply.body.copy(scratch, at);
  exchange.bytesSent = isHeadMethod ? 0 : reply.body.length;
  outlet.commit(at);
}

/** The field lines of a denial in an authorizer's words, framing and connection apart. */
export function denialFields(exchange: Exchange, { fields }: Denial, failure: Failure): string {
  const id = exchange.requestId === '' ? '' : `x-request-id: ${exchange.requestId.slice(0, 128)}\r\n`;
  return `${fields}x-postern-reason: ${failure}\r\nx-postern-decision-id: ${exchange.decisionId()}\r\n${id}`;
}

/** Whether a reply of this status to this method has a body (RFC 9110, sections 6.4.1 and 15.3.5). */
export function hasReplyBody(status: number, method: string): boolean {
  return status !== 204 && status !== 304 && method !== 'HEAD';
}

/** The status that a gRPC call gets for one of HTTP (gRPC, "HTTP to gRPC Status Code Mapping"). */
export function grpcStatusOf(status: number): number {
  return GRPC_STATUSES.get(status) ?? GRPC_UNKNOWN;
}

/** The `grpc-message` of a failed call; a decision is named by its id. */
export function grpcMessage(exchange: Exchange, failure: Failure): string {
  if (exchange.denial !== null) return encodeGrpcMessage(exchange.denial.body.toString('utf8', 0, DENIAL_TEXT_MAX).trim());
  const text = GRPC_MESSAGES[failure];
  return exchange.decision === null ? text : `${text} (decision ${exchange.decisionId()})`;
}

function writeDenial(outlet: Outlet, exchange: Exchange, denial: Denial, failure: Failure, closes: boolean): void {
  const { body, status } = denial;
  const hasBody = hasReplyBody(status, exchange.method);
  const length = status === 204 || status === 304 ? '' : `content-length: ${body.length}\r\n`;
  const text =
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Denied'}\r\n${denialFields(exchange, denial, failure)}${length}` +
    `${closes ? 'connection: close\r\n' : ''}\r\n`;
  outlet.commit(writeText(scratch, outlet.reserve(text.length), text));
  if (hasBody) outlet.append(body, 0, body.length);
  exchange.bytesSent = hasBody ? body.length : 0;
}

interface Reply {
  /** Start line and `fields`. */
  readonly head: Buffer;
  /** The field lines alone. */
  readonly fields: Buffer;
  readonly body: Buffer;
  /** The field lines of a gRPC call that has nothing but a head, without its message. */
  readonly grpcFields: Buffer;
}

function replyText(failure: Failure, what: string): string {
  return failure === 'denied_by_policy' ? 'postern: access denied' : `postern: ${failure}: ${what}`;
}

function makeReply(failure: Failure): Reply {
  const { grpc, http, what } = FAILURES[failure];
  const body = Buffer.from(`${replyText(failure, what)}\n`, 'latin1');
  const challenge = challengeOf(failure);
  const more =
    http === 503
      ? 'retry-after: 1\r\n'
      : http === 426
        ? 'sec-websocket-version: 13\r\n'
        : challenge === ''
          ? ''
          : `www-authenticate: ${challenge}\r\n`;
  const fields = Buffer.from(
    'content-type: text/plain; charset=utf-8\r\n' + `content-length: ${body.length}\r\nx-postern-reason: ${failure}\r\n${more}`,
    'latin1',
  );
  const start = Buffer.from(`HTTP/1.1 ${http} ${REASONS.get(http) ?? 'Error'}\r\n${http === 426 ? SWITCH : ''}`, 'latin1');
  const grpcFields = Buffer.from(
    `content-type: application/grpc\r\ngrpc-status: ${grpc}\r\nx-postern-reason: ${failure}\r\n`,
    'latin1',
  );
  return { head: Buffer.concat([start, fields]), fields, body, grpcFields };
}

const REASONS: ReadonlyMap<number, string> = new Map([
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [408, 'Request Timeout'],
  [413, 'Content Too Large'],
  [417, 'Expectation Failed'],
  [426, 'Upgrade Required'],
  [431, 'Request Header Fields Too Large'],
  [501, 'Not Implemented'],
  [502, 'Bad Gateway'],
  [503, 'Service Unavailable'],
  [504, 'Gateway Timeout'],
  [505, 'HTTP Version Not Supported'],
]);

const GRPC_STATUSES: ReadonlyMap<number, number> = new Map([
  [400, 13],
  [401, 16],
  [403, 7],
  [404, 12],
  [429, 14],
  [502, 14],
  [503, 14],
  [504, 14],
]);
const GRPC_UNKNOWN = 2;
const DENIAL_TEXT_MAX = 1_024;

/** RFC 9110, section 15.5.22; over HTTP/2 there is nothing to switch. */
const SWITCH = 'upgrade: websocket\r\nconnection: upgrade\r\n';
const CLOSE = Buffer.from('connection: close\r\n', 'latin1');

/** What is fixed of each reply. */
export const REPLIES = Object.fromEntries(
  Object.keys(FAILURES).map((failure) => [failure, makeReply(failure as Failure)]), // keys of the very table
) as Record<Failure, Reply>; // one entry per key

const GRPC_MESSAGES = Object.fromEntries(
  Object.entries(FAILURES).map(([failure, { what }]) => [
    failure,
    encodeGrpcMessage(replyText(failure as Failure, what)), // keys of the very table
  ]),
) as Record<Failure, string>; // one entry per key

/** Not imported by name, for the reason in proxy/admin/http-server.ts: a start costs 40 ms of CPU time less. */
const { STATUS_CODES } = process.getBuiltinModule('node:http');
