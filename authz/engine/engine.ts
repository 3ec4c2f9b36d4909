/** The face of a compiled policy set for one workload: what the data path calls, whichever engine stands behind it. */
import type { ConnectionAttributes, Decision, RequestAttributes } from './input.ts';

/** Attributes of a connection as the engine keeps them; opaque, made once per connection and policy revision. */
export interface ClassifiedConnection {
  /** The engine that made it: a connection classified by one revision is never shown to another. */
  readonly engine: Engine;
}

export interface Engine {
  readonly revision: string;
  /** Header names that the policies read, in lower case; no other is looked at. */
  readonly headerNames: readonly string[];
  /** Whether any rule reads the attribute at all, so that the caller need not supply it. */
  classify(connection: ConnectionAttributes): ClassifiedConnection;
  /** Decides one request. Never throws: an internal fault is a denial with `engine_error`. No promise, no allocation. */
  decide(connection: ClassifiedConnection, request: RequestAttributes): Decision;
  /** Decides a raw TCP connection. */
  decideConnection(connection: ClassifiedConnection): Decision;
}
