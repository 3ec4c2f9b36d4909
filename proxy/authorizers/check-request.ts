/** Writes Envoy's `envoy.service.auth.v3.CheckRequest` about a request, with the members that Envoy sets for an Istio sidecar. */
import { FRAMING } from '#wire/h1/head.ts';
import { ProtoWriter } from '#wire/protobuf/write.ts';
import type { Question } from './authorizer.ts';
import { hostOf, joinedFields, targetOf, toldFields, utf8Of } from './told-fields.ts';

/**
 * @param isRaw  whether the body goes as bytes; as text it loses what is no UTF-8
 */
export function checkRequest({ body, exchange, head }: Question, isRaw: boolean): Buffer {
  const { attributes, localAddress, localPort, peerAddress, peerPort } = exchange.connection;
  const own = exchange.snapshot.identity?.svid.spiffeId.uri ?? '';
  const path = targetOf(head, exchange);
  const host = hostOf(head, exchange);
  const scheme = attributes.tls ? 'https' : 'http';
  const http = new ProtoWriter().text(1, exchange.decisionId()).text(2, exchange.method);
  const headers = new Map([
    [':authority', host],
    [':method', exchange.method],
    [':path', path],
    [':scheme', scheme],
    ...joinedFields(toldFields(head, exchange)),
  ]);
  if (body !== null && body.length > 0) headers.set('x-envoy-auth-partial-body', 'false');
  if (head.framing === FRAMING.length) headers.set('content-length', String(head.contentLength));
  for (const [name, value] of headers) http.message(3, new ProtoWriter().latin1(1, name).text(2, utf8Of(value)));
  http.latin1(4, path).latin1(5, host).text(6, scheme);
  // What had come of a body that is not asked about is what Envoy says, and that is nothing.
  http.count(9, body?.length ?? 0);
  http.text(10, exchange.protocol);
  if (body !== null) {
    if (isRaw) http.bytes(12, body);
    else http.text(11, body.toString('utf8'));
  }
  const request = new ProtoWriter().message(1, timestamp(exchange.startedMs)).message(2, http);
  const context = new ProtoWriter()
    .message(1, peer(peerAddress, peerPort, attributes.principal ?? ''))
    .message(2, peer(localAddress, localPort, attributes.tls ? own : ''))
    .message(4, request)
    .message(11, new ProtoWriter())
    .message(13, new ProtoWriter());
  return new ProtoWriter().message(1, context).finish();
}

/** The five bytes before a message (gRPC over HTTP/2), uncompressed. */
export function framed(message: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(message.length + 5);
  bytes[0] = 0;
  bytes.writeUInt32BE(message.length, 1);
  message.copy(bytes, 5);
  return bytes;
}

function peer(address: string, port: number, principal: string): ProtoWriter {
  const socket = new ProtoWriter().text(2, address).count(3, port);
  return new ProtoWriter().message(1, new ProtoWriter().message(1, socket)).text(4, principal);
}

function timestamp(ms: number): ProtoWriter {
  const seconds = Math.floor(ms / 1000);
  return new ProtoWriter().count(1, seconds).count(2, Math.round((ms - seconds * 1000) * 1_000_000));
}
