/**
 * Replies that the proxy makes itself, as HTTP/2: the same fields and bodies as over HTTP/1.1 (reply.ts). A gRPC call gets a head and
 * nothing behind it (gRPC over HTTP/2, "Trailers-Only"), with status 200 and the failure's own status. Hot path.
 */
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

const OK = 200;
