/** The face of a compiled policy set for one workload: what the data path calls, whichever engine stands behind it. */
import type { ConnectionAttributes, Decision, Providers, RequestAttributes } from './input.ts';

/** Attributes of a connection as the engine keeps them; opaque, made once per connection and policy revision. */
export interface ClassifiedConnection {
  /** The engine that made it: a connection classified by one revision is never shown to another. */
  readonly engine: Engine;
}

export interface Engine {
  readonly revision: string;
  /** Header names that the policies read, in lower case; no other is looked at. */
  readonly headerNames: readonly string[];
  /** Whether the policies read queries; no query is looked at otherwise. */
  readonly readsQuery: boolean;
  /** Whether any rule reads what only requests have, so that bytes of no known protocol may not pass to this port. */
  readsHttp(port: number): boolean;
  /** External authorizers that policies ask; a denial with `provider_unavailable` means that one of them was to be asked first. */
  readonly providers: readonly string[];
  /** Finds what the policies care for in a connection, once for all of its requests. */
  classify(connection: ConnectionAttributes): ClassifiedConnection;
  /**
   * Decides one request. Never throws: an internal fault is a denial with `engine_error`. No promise, no allocation.
   *
   * @param providers  what external authorizers answered so far; a denial with `provider_unavailable` asks for one more
   */
  decide(connection: ClassifiedConnection, request: RequestAttributes, providers?: Providers): Decision;
  /** Decides a raw TCP connection. */
  decideConnection(connection: ClassifiedConnection, providers?: Providers): Decision;
}
