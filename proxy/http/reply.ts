/** Replies that the proxy makes itself: one per failure, its fixed part made at start. Hot path. */
import { writeText } from '#wire/h1/serialise.ts';
import { FAILURES, type Failure } from '../failure.ts';
import type { Exchange } from '../exchange.ts';
import { scratch, type Outlet } from '../io/outlet.ts';

/** Writes the reply to a failed exchange. */
export function writeReply(outlet: Outlet, exchange: Exchange, failure: Failure, closes: boolean): void {
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

interface Reply {
  /** Start line and `fields`. */
  readonly head: Buffer;
  /** The field lines alone. */
  readonly fields: Buffer;
  readonly body: Buffer;
}

function makeReply(failure: Failure): Reply {
  const { http, what } = FAILURES[failure];
  const text = failure === 'denied_by_policy' ? 'postern: access denied\n' : `postern: ${failure}: ${what}\n`;
  const body = Buffer.from(text, 'latin1');
  const retryAfter = http === 503 ? 'retry-after: 1\r\n' : '';
  const fields = Buffer.from(
    'content-type: text/plain; charset=utf-8\r\n' +
      `content-length: ${body.length}\r\nx-postern-reason: ${failure}\r\n${retryAfter}`,
    'latin1',
  );
  const start = Buffer.from(`HTTP/1.1 ${http} ${REASONS.get(http) ?? 'Error'}\r\n`, 'latin1');
  return { head: Buffer.concat([start, fields]), fields, body };
}

const REASONS: ReadonlyMap<number, string> = new Map([
  [400, 'Bad Request'],
  [403, 'Forbidden'],
  [408, 'Request Timeout'],
  [417, 'Expectation Failed'],
  [431, 'Request Header Fields Too Large'],
  [501, 'Not Implemented'],
  [502, 'Bad Gateway'],
  [503, 'Service Unavailable'],
  [504, 'Gateway Timeout'],
  [505, 'HTTP Version Not Supported'],
]);

const CLOSE = Buffer.from('connection: close\r\n', 'latin1');

/** What is fixed of each reply. */
export const REPLIES = Object.fromEntries(
  Object.keys(FAILURES).map((failure) => [failure, makeReply(failure as Failure)]), // keys of the very table
) as Record<Failure, Reply>; // one entry per key
