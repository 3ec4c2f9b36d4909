/** Which failed requests are sent a second time: rule by rule, and never beyond the budget. */
import { describe, expect, test } from 'vitest';

import { fakeConnection } from '#test/support/fake-connection.ts';
import { Exchange } from '../exchange.ts';
import { FAILURES, type Failure } from '../failure.ts';
import { noPolicy } from '../policy-snapshot.ts';
import { RetryBudget } from '../upstream/retry-budget.ts';
import { mayRepeat } from './repeat.ts';
import type { Upstream } from './streams.ts';

describe('mayRepeat()', () => {
  test.each<readonly [Failure, string, boolean, boolean]>([
    // No connection came about.
    ['upstream_connect_failed', 'GET', false, true],
    ['upstream_connect_failed', 'POST', false, false],
    ['upstream_connect_timeout', 'PUT', false, true],
    ['upstream_connect_timeout', 'PATCH', true, false],
    ['upstream_refused_svid', 'HEAD', false, true],
    ['upstream_refused_svid', 'POST', false, false],
    // A connection that had been used before was closed in the meantime.
    ['upstream_reset', 'GET', true, true],
    ['upstream_reset', 'GET', false, false],
    ['upstream_reset', 'DELETE', true, true],
    ['upstream_reset', 'POST', true, false],
    // The upstream has not looked at it.
    ['upstream_refused', 'POST', false, true],
    ['upstream_refused', 'PATCH', true, true],
    // It may have been done, or would not be done better.
    ['upstream_timeout', 'GET', true, false],
    ['upstream_malformed', 'GET', true, false],
    ['request_timeout', 'GET', true, false],
    ['circuit_open', 'GET', true, false],
    ['no_healthy_endpoint', 'GET', true, false],
    ['upstream_identity', 'GET', true, false],
    // Never after a decision against it.
    ['denied_by_policy', 'GET', true, false],
    ['revoked', 'GET', true, false],
  ])('%s of %s, isReused %s: sent again %s', (failure, method, isReused, isRepeated) => {
    expect(mayRepeat(exchangeOf(method, 0), failure, upstreamOf(isReused))).toBe(isRepeated);
  });

  test('leaves no failure of the caller or of ours out', () => {
    const repeated = Object.entries(FAILURES).filter(([, row]) => row.retry !== 'never');
    expect(repeated.every(([, row]) => row.source === 'upstream')).toBe(true);
  });

  test('keeps to the budget, and does nothing for a request that no upstream had', () => {
    const exchange = exchangeOf('GET', 2);
    expect(mayRepeat(exchange, 'upstream_refused', upstreamOf(true))).toBe(false);
    const fresh = exchangeOf('GET', 0);
    fresh.retries = null;
    expect(mayRepeat(fresh, 'upstream_refused', upstreamOf(true))).toBe(false);
  });
});

function exchangeOf(method: string, tries: number): Exchange {
  const exchange = new Exchange(fakeConnection(), { policy: noPolicy(0), identity: null });
  exchange.method = method;
  exchange.tries = tries;
  exchange.retries = new RetryBudget({ attempts: 2, budgetPercent: 20, tryMs: 0 });
  return exchange;
}

function upstreamOf(isReused: boolean): Upstream {
  return {
    isReused,
    isBlocked: false,
    requestHead: () => {},
    requestBody: () => {},
    requestEnd: () => {},
    abort: () => {},
    resumeResponse: () => {},
  };
}
