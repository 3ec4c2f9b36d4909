/** A question as opa-envoy-plugin would have been asked it by the Envoy of an Istio sidecar. */
import type { EnvoyRequest } from '#authz/opa/envoy-input.ts';
import { FRAMING } from '#wire/h1/head.ts';
import type { Question } from '../authorizers/authorizer.ts';
import { hostOf, joinedFields, targetOf, toldFields, utf8Of } from '../authorizers/told-fields.ts';

export function opaRequest({ body, exchange, head }: Question): EnvoyRequest {
  const { attributes, localAddress, localPort, peerAddress, peerPort } = exchange.connection;
  const own = attributes.tls ? (exchange.snapshot.identity?.svid.spiffeId.uri ?? null) : null;
  const headers: Record<string, string> = {};
  for (const [name, value] of joinedFields(toldFields(head, exchange))) headers[name] = utf8Of(value);
  if (head.framing === FRAMING.length) headers['content-length'] = String(head.contentLength);
  if (body !== null && body.length > 0) headers['x-envoy-auth-partial-body'] = 'false';
  return {
    source: { address: peerAddress, port: peerPort, principal: attributes.principal },
    destination: { address: localAddress, port: localPort, principal: own },
    id: exchange.decisionId(),
    method: exchange.method,
    path: utf8Of(targetOf(head, exchange)),
    host: utf8Of(hostOf(head, exchange)),
    scheme: attributes.tls ? 'https' : 'http',
    protocol: exchange.protocol,
    headers,
    size: body?.length ?? 0,
    timeMs: exchange.startedMs,
    body: body === null ? null : { bytes: body, isPartial: false },
  };
}
