/**
 * Replies that the proxy makes itself, as HTTP/2: the same fields and bodies as over HTTP/1.1 (reply.ts). A gRPC call gets a head and
 * nothing behind it (gRPC over HTTP/2, "Trailers-Only"), with status 200 and the failure's own status. Hot path.
 */
import type { ResponseHead } from '#wire/h1/head.ts';
import type { H2Session } from '#wire/h2/session.ts';
import type { H2Stream } from '#wire/h2/stream.ts';
import type { Exchange } from '../exchange.ts';
import { FAILURES, type Failure } from '../failure.ts';
import { grpcMessage, REPLIES } from './reply.ts';

/** Sends the reply to a failed exchange, and ends the stream. */
export function sendReply<Owner>(session: H2Session<Owner>, stream: H2Stream<Owner>, exchange: Exchange, failure: Failure): void {
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

/** Whether the caller takes a head of this size (SETTINGS_MAX_HEADER_LIST_SIZE, RFC 9113, section 6.5.2). */
export function isTaken<Owner>({ peer }: H2Session<Owner>, head: ResponseHead): boolean {
  // A line of HTTP/1.1 has four bytes beside name and value, a field of HTTP/2 counts 32.
  return head.end - head.fieldsStart + 28 * head.fields.count + STATUS_FIELD_BYTES <= peer.maxHeaderListBytes;
}

const OK = 200;
/** `:status` with its three digits. */
const STATUS_FIELD_BYTES = 42;
