/**
 * One outbound request, from the local app to a peer's sidecar. Whether the call is allowed is the callee's to say; what is done
 * here is to read it without doubt, to prove who the peer is before it gets a byte, and to lend the call this workload's identity.
 * Hot path.
 */
import type { RequestHead } from '#wire/h1/head.ts';
import type { Carry, Caller } from './carry.ts';
import type { Failure } from './failure.ts';
import type { Upstream } from './forward/streams.ts';
import { canonicaliseHead } from './http/canonicalise.ts';
import { fieldPolicy, fieldRefusalCode, filterRequestFields } from './http/fields.ts';
import { identifyRequest } from './http/request-identity.ts';
import { retarget } from './http/retarget.ts';
import { openTunnel, takeUpgrade } from './http/upgrade.ts';
import type { UpstreamService } from './upstream/service.ts';

/** The carrier of one outbound listener: hands each request to the peer. */
export function outboundCarrier(peer: UpstreamService): Carry {
  return function carryOutbound(caller: Caller, head: RequestHead): Upstream | Failure {
    const { exchange, target } = caller;
    if (head.hasUpgrade || exchange.tunnel !== '') {
      const refused = takeUpgrade(exchange, head);
      if (refused !== null) return refused;
    }

    // The path goes out as the app wrote it, once it is one: the callee has its own canonical form.
    const unclear = canonicaliseHead(head, 'none', 'http', target);
    if (unclear !== null) return unclear;
    retarget(exchange, head, target);

    caller.fieldPolicy = FIELD_POLICY;
    const refusal = filterRequestFields(head, FIELD_POLICY, true);
    if (refusal !== 0) {
      exchange.detail = fieldRefusalCode(refusal);
      return 'bad_field';
    }
    identifyRequest(exchange, head);
    if (exchange.snapshot.identity === null) return 'not_ready';

    if (exchange.tunnel !== '') return openTunnel(caller, head, peer);
    const upstream = peer.acquire(caller, caller.pool);
    if (typeof upstream === 'string') return upstream;
    upstream.requestHead(head, exchange);
    return upstream;
  };
}

const FIELD_POLICY = fieldPolicy('allow', []);
