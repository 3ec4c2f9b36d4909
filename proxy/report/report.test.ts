import { expect, test } from 'vitest';

import type { Decision } from '#authz/engine/input.ts';
import { Exchange } from '../exchange.ts';
import { noPolicy } from '../policy-snapshot.ts';
import { fakeConnection } from '#test/support/fake-connection.ts';
import { Report } from './report.ts';

function decided(revision: number, effect: 'allow' | 'deny' = 'allow', rule = 'r'): Decision {
  return Object.freeze({
    effect,
    code: effect === 'allow' ? 'allowed_by_rule' : 'denied_by_rule',
    policy: 'shop/orders',
    rule,
    revision: `sha256:${revision}`,
  });
}

function report(): Report {
  return new Report({
    accessLog: null,
    flows: null,
    workload: { namespace: 'n', name: 'w', labels: {}, principal: null },
    ringSize: 4,
  });
}

test('Report counts every decision over any number of revisions, and keeps a bounded number of them', () => {
  const under = report();
  const exchange = new Exchange(fakeConnection(), { policy: noPolicy(0), identity: null });
  for (let revision = 0; revision < 10_000; revision++) {
    exchange.begin({ policy: noPolicy(0), identity: null }, revision, 0, 0);
    exchange.decision = decided(revision, revision % 4 === 0 ? 'deny' : 'allow', `r${revision % 7}`);
    if (revision % 4 === 0) exchange.failure = 'denied_by_policy';
    exchange.status = revision % 4 === 0 ? 403 : 200;
    under.exchange(exchange);
  }
  expect(under.decisions.size).toBeLessThanOrEqual(1_025);
  const totals = { allow: 0, deny: 0 };
  for (const [{ effect }, { count }] of under.decisions) totals[effect] += count;
  expect(totals).toEqual({ allow: 7_500, deny: 2_500 });
  expect(under.failures.get('denied_by_policy')).toBe(2_500);
  expect(under.ring.recent()).toHaveLength(4);
  expect(under.ring.recent().map(({ decision }) => decision.revision)).toEqual(
    [9984, 9988, 9992, 9996].map((each) => `sha256:${each}`),
  );
});

test('Report tells verdict, status and time of each exchange by its direction', () => {
  const under = report();
  const exchange = new Exchange(fakeConnection(), { policy: noPolicy(0), identity: null });
  exchange.begin({ policy: noPolicy(0), identity: null }, 1, 0, performance.now() - 7);
  exchange.status = 200;
  exchange.bytesReceived = 3;
  exchange.bytesSent = 5;
  under.exchange(exchange);
  expect(exchange.verdict).toBe('forwarded');
  expect(under.requests[200]).toBe(1);
  // Above 5 ms and up to 10 ms.
  expect(under.durations[5]).toBe(1);
  expect([...under.bytes]).toEqual([3, 5, 0, 0]);
});
