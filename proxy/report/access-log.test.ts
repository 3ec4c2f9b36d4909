import fc from 'fast-check';
import { expect, test } from 'vitest';

import { fakeConnection } from '#test/support/fake-connection.ts';
import { Exchange } from '../exchange.ts';
import { FAILURES, type Failure } from '../failure.ts';
import { noPolicy } from '../policy-snapshot.ts';
import { accessLine, refusalLine } from './access-log.ts';
import { jsonText } from './json-text.ts';
import { timestamp } from './timestamp.ts';

const snapshot = { policy: noPolicy(0), identity: null };

/** Any text that bytes of a request can become, and more. */
const anyText = fc.string({ unit: 'binary', maxLength: 60 });

test('accessLine() is one line of JSON that gives back what it was given', () => {
  fc.assert(
    fc.property(anyText, anyText, anyText, anyText, anyText, (path, agent, id, trace, detail) => {
      const exchange = new Exchange(fakeConnection(), snapshot);
      exchange.begin(snapshot, 1, 1_700_000_000_000, performance.now());
      Object.assign(exchange, {
        method: 'GET',
        path,
        userAgent: agent,
        requestId: id,
        traceparent: trace,
        detail,
        failure: 'bad_request',
      });
      const line = accessLine(exchange, performance.now());
      expect(line.indexOf('\n')).toBe(line.length - 1);
      // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
      expect(line.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
      const given = (text: string): string | null => (text === '' ? null : text);
      expect(JSON.parse(line)).toMatchObject({
        path: given(path),
        user_agent: given(agent),
        request_id: given(id),
        traceparent: given(trace),
        response_code_details: detail === '' ? 'bad_request' : `bad_request[${detail}]`,
      });
    }),
  );
});

test("accessLine() holds Istio's keys and ours", () => {
  const exchange = new Exchange(fakeConnection(), snapshot);
  exchange.begin(snapshot, 7, 1_700_000_000_123, performance.now());
  exchange.decision = snapshot.policy.engine.decide(
    { engine: snapshot.policy.engine },
    { method: 'GET', authority: 'a', path: '/', fields: { values: () => [] }, tokens: [] },
  );
  exchange.failure = 'policy_unavailable';
  expect(JSON.parse(accessLine(exchange, performance.now()))).toMatchObject({
    start_time: '2023-11-14T22:13:20.123Z',
    protocol: 'HTTP/1.1',
    response_flags: 'PUN',
    upstream_cluster: 'inbound|8080||',
    downstream_remote_address: '127.0.0.1:40000',
    source_principal: 'spiffe://cluster.local/ns/test/sa/web',
    decision: 'deny',
    decision_code: 'policy_missing',
    decision_id: exchange.decisionId(),
    reason: 'policy_unavailable',
  });
});

test.each(Object.keys(FAILURES) as Failure[])('refusalLine() tells %s', (failure) => {
  const line: unknown = JSON.parse(refusalLine(fakeConnection(), failure, 'why "so"\u2028', 0));
  expect(line).toMatchObject({
    reason: failure,
    detail: 'why "so"\u2028',
    response_flags: FAILURES[failure].flag,
    response_code: 0,
  });
});

test('jsonText() cuts what is too long and stays JSON', () => {
  fc.assert(
    fc.property(anyText, fc.nat(70), (text, limit) => {
      expect(JSON.parse(jsonText(text, limit))).toBe(text.slice(0, limit));
    }),
  );
});

test('timestamp() is RFC 3339 to the millisecond', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_102_444_800_000 }), (ms) => {
      expect(timestamp(ms)).toBe(new Date(ms).toISOString());
    }),
  );
});
