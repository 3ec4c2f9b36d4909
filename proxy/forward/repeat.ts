/** When a request may be sent a second time (RFC 9110, section 9.2.2). Hot path. */
import type { Exchange } from '../exchange.ts';
import { FAILURES, type Failure } from '../failure.ts';
import type { Upstream } from './streams.ts';

/**
 * Whether an exchange that failed so may be tried once more: the upstream has not looked at it, or it is one that does no harm done
 * twice and its connection could not be made, or had been used before and was closed in the meantime. Never after a decision
 * against it. The caller sees to it that nothing was answered and that the request can be sent again.
 */
export function mayRepeat(exchange: Exchange, failure: Failure, upstream: Upstream): boolean {
  if (exchange.tries > 0) return false;
  switch (FAILURES[failure].retry) {
    case 'always':
      return true;
    case 'if-idempotent':
      return IDEMPOTENT.has(exchange.method);
    case 'if-reused':
      return upstream.isReused && IDEMPOTENT.has(exchange.method);
    default:
      return false;
  }
}

const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);
