/**
 * One inbound request, from its parsed head to the app: each step below is a phase, each phase a folder, and none calls back up.
 * The first that fails ends the walk and decides the reply. Before it: proxy/listen accepts, proxy/tls proves the caller,
 * proxy/http reads the head. After it: the app's answer flows back through `Downstream`, and proxy/report records the exchange.
 * Hot path.
 */
import type { InboundConfig } from '#proto/config/proxy.ts';
import type { RequestHead } from '#wire/h1/head.ts';
import { decide, enforce } from './enforce/decide.ts';
import type { Failure } from './failure.ts';
import type { Upstream } from './forward/streams.ts';
import { canonicaliseHead } from './http/canonicalise.ts';
import { filterRequestFields } from './http/fields.ts';
import { identifyRequest } from './http/request-identity.ts';
import type { Carry, H1Downstream } from './http/h1-downstream.ts';
import { retarget } from './http/retarget.ts';
import { FieldPolicies } from './http/field-policies.ts';
import type { UpstreamService } from './upstream/service.ts';

/** The carrier of one inbound listener: judges each request and hands it to the local app. */
export function inboundCarrier(config: InboundConfig, app: UpstreamService): Carry {
  const fieldPolicies = new FieldPolicies(config.underscores);
  const scheme = config.mtls === 'DISABLE' ? 'http' : 'https';

  return function carryInbound(downstream: H1Downstream, head: RequestHead): Upstream | Failure {
    const { exchange, connection, target } = downstream;
    // The proof of identity ends with the certificate, also on a connection that lives on.
    if (exchange.startedMs >= connection.notAfterMs) return 'svid_expired';
    if (head.hasUpgrade) return 'upgrade_refused';

    // What is asked for, in the one form that is judged, logged and forwarded.
    const unclear = canonicaliseHead(head, config.pathPolicy, scheme, target);
    if (unclear !== null) return unclear;
    retarget(exchange, head, target);

    // Fields that end here, or that only we may write.
    downstream.fieldPolicy = fieldPolicies.of(exchange.snapshot.policy.engine);
    if (filterRequestFields(head, downstream.fieldPolicy, connection.isTrustedForwarder) !== 0) return 'bad_field';
    identifyRequest(exchange, head);

    exchange.decision = decide(downstream, exchange, head);
    const denied = enforce(exchange.decision);
    if (denied !== null) return denied;

    const upstream = app.acquire(downstream, connection.callerKey);
    if (upstream === null) return 'upstream_overload';
    exchange.upstreamHost = app.name;
    upstream.requestHead(head, exchange);
    return upstream;
  };
}
