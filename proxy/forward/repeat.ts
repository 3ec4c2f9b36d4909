/** When a request may be sent a second time (RFC 9110, section 9.2.2). Hot path. */
import type { Exchange } from '../exchange.ts';
import { FAILURES, type Failure } from '../failure.ts';
import type { Upstream } from './streams.ts';

/**
 * Whether an exchange that failed so may be tried once more: its connection had been used before and was closed in the meantime,
 * which says nothing of the request, and to do the same twice does no harm. Never after a decision against it.
 */
export function mayRepeat(exchange: Exchange, failure: Failure, upstream: Upstream): boolean {
  return FAILURES[failure].retry === 'if-reused' && upstream.isReused && exchange.tries === 0 && IDEMPOTENT.has(exchange.method);
}

const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);
