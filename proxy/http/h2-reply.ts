/** Replies that the proxy makes itself, as HTTP/2: the same fields and bodies as over HTTP/1.1 (reply.ts). Hot path. */
import type { H2Session } from '#wire/h2/session.ts';
import type { H2Stream } from '#wire/h2/stream.ts';
import type { Exchange } from '../exchange.ts';
import { FAILURES, type Failure } from '../failure.ts';
import { REPLIES } from './reply.ts';

/** Sends the reply to a failed exchange, and ends the stream. */
export function sendReply<Owner>(session: H2Session<Owner>, stream: H2Stream<Owner>, exchange: Exchange, failure: Failure): void {
  const { head } = session;
  const reply = REPLIES[failure];
  const status = FAILURES[failure].http;
  exchange.status = status;
  head.begin();
  head.status(status);
  head.lines(reply.fields, 0, reply.fields.length);
  if (exchange.decision !== null) head.text('x-postern-decision-id', exchange.decisionId());
  if (exchange.requestId !== '') head.text('x-request-id', exchange.requestId.slice(0, 128));
  session.sendHead(stream);
  const isHeadMethod = exchange.method === 'HEAD';
  exchange.bytesSent = isHeadMethod ? 0 : reply.body.length;
  if (!isHeadMethod) session.sendData(stream, reply.body, 0, reply.body.length);
  session.sendEnd(stream, null);
}
