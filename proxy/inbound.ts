/**
 * One inbound request, from its parsed head to the app: each step below is a phase, each phase a folder, and none calls back up.
 * The first that fails ends the walk and decides the reply. Before it: proxy/listen accepts, proxy/tls proves the caller,
 * proxy/http reads the head. After it: the app's answer flows back through `Downstream`, and proxy/report records the exchange.
 * Hot path.
 */
import type { InboundConfig } from '#proto/config/proxy.ts';
import type { RequestHead } from '#wire/h1/head.ts';
import type { Authorizers } from './authorizers/authorizers.ts';
import { authenticateUser } from './authn/authenticate-user.ts';
import type { Carry, Caller } from './carry.ts';
import { decide, enforce } from './enforce/decide.ts';
import type { Failure } from './failure.ts';
import type { Upstream } from './forward/streams.ts';
import { canonicaliseHead } from './http/canonicalise.ts';
import { fieldRefusalCode, filterRequestFields } from './http/fields.ts';
import { identifyRequest } from './http/request-identity.ts';
import { retarget } from './http/retarget.ts';
import { openTunnel, takeUpgrade } from './http/upgrade.ts';
import { FieldPolicies } from './http/field-policies.ts';
import type { UpstreamService } from './upstream/service.ts';

/** The carrier of one inbound listener: judges each request and hands it to the local app. */
export function inboundCarrier(config: InboundConfig, app: UpstreamService, authorizers: Authorizers): Carry {
  const fieldPolicies = new FieldPolicies(config.underscores);

  return function carryInbound(caller: Caller, head: RequestHead): Upstream | Failure {
    const { exchange, connection, target } = caller;
    // The proof of identity ends with the certificate, also on a connection that lives on.
    if (exchange.startedMs >= connection.notAfterMs) return 'svid_expired';
    if (head.hasUpgrade || exchange.tunnel !== '') {
      const refused = takeUpgrade(exchange, head);
      if (refused !== null) return refused;
    }

    // What is asked for, in the one form that is judged, logged and forwarded.
    const unclear = canonicaliseHead(head, config.pathPolicy, connection.attributes.tls ? 'https' : 'http', target);
    if (unclear !== null) return unclear;
    retarget(exchange, head, target);

    // Fields that end here, or that only we may write.
    caller.fieldPolicy = fieldPolicies.of(exchange.snapshot.policy);
    const refusal = filterRequestFields(head, caller.fieldPolicy, connection.isTrustedForwarder);
    if (refusal !== 0) {
      exchange.detail = fieldRefusalCode(refusal);
      return 'bad_field';
    }
    identifyRequest(exchange, head);

    // Whose tokens it bears.
    const { users } = exchange.snapshot.policy;
    if (users !== null) {
      const unproved = authenticateUser(users, exchange, head, exchange.startedMs);
      if (unproved !== null) return unproved;
    }

    exchange.decision = decide(caller, exchange, head);
    const denied = enforce(exchange.decision);
    if (denied !== null) {
      // Somebody outside has a say first.
      if (exchange.decision.code === 'provider_unavailable') return authorizers.ask(caller, head, app, exchange.decision);
      return denied;
    }

    if (exchange.tunnel !== '') return openTunnel(caller, head, app);
    const upstream = app.acquire(caller, caller.pool);
    if (typeof upstream === 'string') return upstream;
    upstream.requestHead(head, exchange);
    return upstream;
  };
}
