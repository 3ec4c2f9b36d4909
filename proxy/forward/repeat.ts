/** When a request may be sent a second time (RFC 9110, section 9.2.2). Hot path. */
import type { Exchange } from '../exchange.ts';
import { FAILURES, type Failure } from '../failure.ts';
import type { Upstream } from './streams.ts';

/**
 * Whether an exchange that failed so may be tried once more: the upstream has not looked at it, or it is one that does no harm done
 * twice and its connection could not be made, or had been used before and was closed in the meantime. Never after a decision
 * against it. Never beyond what the upstream's budget
 * allows. The caller sees to it that nothing was answered and that the request can be sent again.
 */
export function mayRepeat(exchange: Exchange, failure: Failure, upstream: Upstream): boolean {
  const { method, retries, tries } = exchange;
  switch (FAILURES[failure].retry) {
    case 'always':
      break;
    case 'if-idempotent':
      if (!IDEMPOTENT.has(method)) return false;
      break;
    case 'if-reused':
      if (!upstream.isReused || !IDEMPOTENT.has(method)) return false;
      break;
    default:
      return false;
  }
  return retries !== null && retries.admits(tries);
}

const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);
