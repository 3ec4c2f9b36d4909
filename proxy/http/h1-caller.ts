/** What a caller that speaks HTTP/1.1 is to the rest of the proxy: its connection, and the one exchange that is used again and again. */
import type { ClassifiedConnection } from '#authz/engine/engine.ts';
import { Deadline } from '#base/timer-wheel.ts';
import { Exchange } from '../exchange.ts';
import type { Connection } from '../listen/connection.ts';
import type { Runtime } from '../runtime.ts';
import type { CallerPool } from '../upstream/caller-pool.ts';
import { CanonicalTarget } from './canonicalise.ts';
import { fieldPolicy, type FieldPolicy } from './fields.ts';

export abstract class H1Caller extends Deadline {
  readonly exchange: Exchange;
  readonly connection: Connection;
  readonly pool: CallerPool;
  readonly runtime: Runtime;
  classified: ClassifiedConnection | null = null;
  readonly target = new CanonicalTarget();
  fieldPolicy: FieldPolicy = NO_FIELD_POLICY;
  requests = 0;
  onClosed: (() => void) | null = null;

  constructor(connection: Connection, pool: CallerPool, runtime: Runtime) {
    super();
    this.connection = connection;
    this.pool = pool;
    this.runtime = runtime;
    this.exchange = new Exchange(connection, runtime.snapshot);
  }
}

const NO_FIELD_POLICY = fieldPolicy('allow', []);
