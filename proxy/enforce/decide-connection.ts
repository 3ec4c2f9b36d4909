/** Asks the policy whether a connection that carries no requests may be carried at all. */
import type { Engine } from '#authz/engine/engine.ts';
import type { Decision } from '#authz/engine/input.ts';
import type { Failure } from '../failure.ts';
import type { Connection } from '../listen/connection.ts';
import type { TcpExchange } from '../tcp/tcp-exchange.ts';
import { enforce } from './decide.ts';

/** Decides by what is known of the connection, and writes the decision down. */
export function decideConnection(exchange: TcpExchange): Failure | null {
  const { connection, snapshot } = exchange;
  if (exchange.startedMs >= connection.notAfterMs) return 'svid_expired';
  exchange.decision = decideByConnection(connection, snapshot.policy.engine);
  return enforce(exchange.decision);
}

/** What a policy says of a connection that carries no requests. */
export function decideByConnection({ attributes }: Connection, engine: Engine): Decision {
  return engine.decideConnection(engine.classify(attributes));
}
