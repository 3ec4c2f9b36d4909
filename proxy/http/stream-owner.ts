/** What a stream of a caller knows of its connection. Hot path. */
import type { ClassifiedConnection } from '#authz/engine/engine.ts';
import type { H2Session } from '#wire/h2/session.ts';
import type { Carry } from '../carry.ts';
import type { Failure } from '../failure.ts';
import type { Connection } from '../listen/connection.ts';
import type { Runtime } from '../runtime.ts';
import type { CallerPool } from '../upstream/caller-pool.ts';
import type { CanonicalTarget } from './canonicalise.ts';
import type { H2Exchange } from './h2-exchange.ts';

/** The connection of a stream, as the stream sees it. */
export interface StreamOwner {
  readonly session: H2Session<H2Exchange>;
  readonly connection: Connection;
  readonly pool: CallerPool;
  readonly runtime: Runtime;
  readonly carry: Carry;
  readonly target: CanonicalTarget;
  classified: ClassifiedConnection | null;
  /** When the read came that is being looked at: wall clock and monotonic milliseconds. */
  readonly readMs: number;
  readonly readAt: number;
  /** Something was sent. */
  wrote(): void;
  /** The exchange is over and its record free. */
  finished(exchange: H2Exchange): void;
  /** The whole connection ends, each stream for the same cause. */
  readonly isEnding: boolean;
  /** The whole connection may not go on. */
  destroy(failure: Failure, detail: string): void;
}
