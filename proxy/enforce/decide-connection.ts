/** Asks the policy whether a connection that carries no requests may be carried at all. */
import type { Failure } from '../failure.ts';
import type { TcpExchange } from '../tcp/tcp-exchange.ts';
import { enforce } from './decide.ts';

/** Decides by what is known of the connection, and writes the decision down. */
export function decideConnection(exchange: TcpExchange): Failure | null {
  const { connection, snapshot } = exchange;
  if (exchange.startedMs >= connection.notAfterMs) return 'svid_expired';
  const { engine } = snapshot.policy;
  exchange.decision = engine.decideConnection(engine.classify(connection.attributes));
  return enforce(exchange.decision);
}
