/** What the way of a request (inbound.ts, outbound.ts) works on, whichever protocol the caller speaks. Hot path. */
import type { ClassifiedConnection } from '#authz/engine/engine.ts';
import type { RequestHead } from '#wire/h1/head.ts';
import type { Failure } from './failure.ts';
import type { Downstream, Upstream } from './forward/streams.ts';
import type { CanonicalTarget } from './http/canonicalise.ts';
import type { FieldPolicy } from './http/fields.ts';
import type { Connection } from './listen/connection.ts';
import type { CallerPool } from './upstream/caller-pool.ts';

/** A caller with one request in flight. */
export interface Caller extends Downstream {
  readonly connection: Connection;
  /** This caller's connections to the upstream of its listener. */
  readonly pool: CallerPool;
  /** The connection as the engine of the exchange's snapshot knows it; made anew when the engine changes. */
  classified: ClassifiedConnection | null;
  /** Where the request goes; keeps the authority of the last one, which is mostly the same. */
  readonly target: CanonicalTarget;
  /** What the filters need to know of the policy that judged the request. */
  fieldPolicy: FieldPolicy;
  /** The decision that was waited for is a yes: `upstream` takes the request from now on. */
  carried(upstream: Upstream): void;
}

/**
 * The way of one request, in phases: judges `head` and hands it to an upstream, or says why not.
 * Returns the upstream that took the request's head, or the failure that ends the exchange.
 */
export type Carry = (caller: Caller, head: RequestHead) => Upstream | Failure;
