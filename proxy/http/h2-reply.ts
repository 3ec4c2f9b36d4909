/**
 * Replies that the proxy makes itself, as HTTP/2: the same fields and bodies as over HTTP/1.1 (reply.ts). A gRPC call gets a head and
 * nothing behind it (gRPC over HTTP/2, "Trailers-Only"), with status 200 and the failure's own status. Hot path.
 */
import type { ResponseHead } from '#wire/h1/head.ts';
import type { H2Session } from '#wire/h2/session.ts';
import type { H2Stream } from '#wire/h2/stream.ts';
import type { Denial } from '../authorizers/authorizer.ts';
import type { Exchange } from '../exchange.ts';
import { FAILURES, type Failure } from '../failure.ts';
import { denialFields, grpcMessage, grpcStatusOf, hasReplyBody, REPLIES } from './reply.ts';

/** Sends the reply to a failed exchange, and ends the stream. */
export function sendReply<Owner>(session: H2Session<Owner>, stream: H2Stream<Owner>, exchange: Exchange, failure: Failure): void {
  if (exchange.denial !== null) return sendDenial(session, stream, exchange, exchange.denial, failure);
  const { head } = session;
  const { body, fields, grpcFields } = REPLIES[failure];
  const { grpc, http } = FAILURES[failure];
  const hasBody = !exchange.isGrpc && exchange.method !== 'HEAD';
  exchange.status = exchange.isGrpc ? OK : http;
  head.begin();
  head.status(exchange.status);
  if (exchange.isGrpc) {
    exchange.grpcStatus = grpc;
    head.lines(grpcFields, 0, grpcFields.length);
    head.text('grpc-message', grpcMessage(exchange, failure));
  } else {
    head.lines(fields, 0, fields.length);
  }
  if (exchange.decision !== null) head.text('x-postern-decision-id', exchange.decisionId());
  if (exchange.requestId !== '') head.text('x-request-id', exchange.requestId.slice(0, 128));
  session.sendHead(stream);
  exchange.bytesSent = hasBody ? body.length : 0;
  if (hasBody) session.sendData(stream, body, 0, body.length);
  session.sendEnd(stream, null);
}

/** The same of a denial in an authorizer's words. */
function sendDenial<Owner>(
  session: H2Session<Owner>,
  stream: H2Stream<Owner>,
  exchange: Exchange,
  denial: Denial,
  failure: Failure,
): void {
  const { head } = session;
  const hasBody = !exchange.isGrpc && hasReplyBody(denial.status, exchange.method);
  exchange.status = exchange.isGrpc ? OK : denial.status;
  head.begin();
  head.status(exchange.status);
  const lines = Buffer.from(denialFields(exchange, exchange.isGrpc ? withoutType(denial) : denial, failure), 'latin1');
  if (exchange.isGrpc) {
    exchange.grpcStatus = grpcStatusOf(denial.status);
    head.text('content-type', 'application/grpc');
    head.text('grpc-status', String(exchange.grpcStatus));
    head.text('grpc-message', grpcMessage(exchange, failure));
  } else if (denial.status !== 204 && denial.status !== 304) {
    head.text('content-length', String(denial.body.length));
  }
  head.lines(lines, 0, lines.length);
  session.sendHead(stream);
  exchange.bytesSent = hasBody ? denial.body.length : 0;
  if (hasBody) session.sendData(stream, denial.body, 0, denial.body.length);
  session.sendEnd(stream, null);
}

/** A call says its own content type. */
function withoutType(denial: Denial): Denial {
  const lines = denial.fields.split('\r\n').filter((line) => line !== '' && !line.startsWith('content-type:'));
  return { ...denial, fields: lines.map((line) => `${line}\r\n`).join('') };
}

/** Whether the caller takes a head of this size (SETTINGS_MAX_HEADER_LIST_SIZE, RFC 9113, section 6.5.2). */
export function isTaken<Owner>({ peer }: H2Session<Owner>, head: ResponseHead): boolean {
  // A line of HTTP/1.1 has four bytes beside name and value, a field of HTTP/2 counts 32.
  return head.end - head.fieldsStart + 28 * head.fields.count + STATUS_FIELD_BYTES <= peer.maxHeaderListBytes;
}

const OK = 200;
/** `:status` with its three digits. */
const STATUS_FIELD_BYTES = 42;
