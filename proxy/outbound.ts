/**
 * One outbound request, from the local app to a peer's sidecar. Whether the call is allowed is the callee's to say; what is done
 * here is to read it without doubt, to prove who the peer is before it gets a byte, and to lend the call this workload's identity.
 * Hot path.
 */
import type { RequestHead } from '#wire/h1/head.ts';
import type { Failure } from './failure.ts';
import type { Upstream } from './forward/streams.ts';
import { canonicaliseHead } from './http/canonicalise.ts';
import { fieldPolicy, filterRequestFields } from './http/fields.ts';
import type { Carry, H1Downstream } from './http/h1-downstream.ts';
import { identifyRequest } from './http/request-identity.ts';
import { retarget } from './http/retarget.ts';
import type { UpstreamService } from './upstream/service.ts';

/** The carrier of one outbound listener: hands each request to the peer. */
export function outboundCarrier(peer: UpstreamService): Carry {
  return function carryOutbound(downstream: H1Downstream, head: RequestHead): Upstream | Failure {
    const { exchange, connection, target } = downstream;
    if (head.hasUpgrade) return 'upgrade_refused';

    // The path goes out as the app wrote it, once it is one: the callee has its own canonical form.
    const unclear = canonicaliseHead(head, 'none', 'http', target);
    if (unclear !== null) return unclear;
    retarget(exchange, head, target);

    downstream.fieldPolicy = FIELD_POLICY;
    if (filterRequestFields(head, FIELD_POLICY, true) !== 0) return 'bad_field';
    identifyRequest(exchange, head);
    if (exchange.snapshot.identity === null) return 'not_ready';

    const upstream = peer.acquire(downstream, connection.callerKey);
    if (upstream === null) return 'upstream_overload';
    exchange.upstreamHost = peer.name;
    upstream.requestHead(head, exchange);
    return upstream;
  };
}

const FIELD_POLICY = fieldPolicy('allow', []);
