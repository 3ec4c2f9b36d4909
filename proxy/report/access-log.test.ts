import fc from 'fast-check';
import { expect, test } from 'vitest';

import { fakeConnection } from '#test/support/fake-connection.ts';
import { Exchange } from '../exchange.ts';
import { FAILURES, type Failure } from '../failure.ts';
import { noPolicy } from '../policy-snapshot.ts';
import { LINE_START_MAX, refusalLine, writeAccessLine } from './access-log.ts';
import { jsonText } from './json-text.ts';
import { putNumber, putTimestamp } from './log-bytes.ts';
import { timestamp } from './timestamp.ts';

const snapshot = { policy: noPolicy(0), identity: null };

/** The line, written behind other bytes as it is in a sink. */
function lineOf(exchange: Exchange): string {
  exchange.logTail.update(exchange);
  const length = LINE_START_MAX + exchange.logTail.bytes.length;
  const out = Buffer.alloc(length + 7, 0x2e);
  const end = writeAccessLine(exchange, performance.now(), out, 7);
  expect(end).toBeLessThanOrEqual(length + 7);
  return out.toString('utf8', 7, end);
}

test('writeAccessLine() keeps within its bounds whatever has to be escaped', () => {
  const exchange = new Exchange(fakeConnection(), snapshot);
  exchange.begin(snapshot, 1, 1_700_000_000_000, performance.now());
  for (const key of ['path', 'userAgent', 'requestId', 'traceparent', 'authority', 'forwardedFor'] as const) {
    exchange[key] = '\u009b'.repeat(10_000);
  }
  expect(JSON.parse(lineOf(exchange))).toMatchObject({ path: '\u009b'.repeat(2_048), request_id: '\u009b'.repeat(128) });
});

test('a tail follows what changes between the requests of a connection', () => {
  const exchange = new Exchange(fakeConnection(), snapshot);
  const told = [
    { method: 'GET', status: 200, failure: null, detail: '' },
    { method: 'GET', status: 200, failure: null, detail: '' },
    { method: 'PUT', status: 200, failure: null, detail: '' },
    { method: 'PUT', status: 404, failure: null, detail: '' },
    { method: 'PUT', status: 400, failure: 'bad_field', detail: 'underscore' },
    { method: 'PUT', status: 400, failure: 'bad_field', detail: 'repeated' },
    { method: 'PUT', status: 404, failure: null, detail: '' },
  ] as const;
  for (const [index, facts] of told.entries()) {
    exchange.begin(snapshot, index, 1_700_000_000_000, performance.now());
    Object.assign(exchange, facts, { path: `/${index}` });
    const { method, status, failure, detail } = facts;
    expect(JSON.parse(lineOf(exchange))).toMatchObject({
      path: `/${index}`,
      method,
      response_code: status,
      reason: failure,
      response_code_details: failure === null ? 'via_upstream' : `${failure}[${detail}]`,
    });
  }
});

/** Any text that bytes of a request can become, and more. */
const anyText = fc.string({ unit: 'binary', maxLength: 60 });

test('writeAccessLine() is one line of JSON that gives back what it was given', () => {
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
      const line = lineOf(exchange);
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

test("writeAccessLine() holds Istio's keys and ours", () => {
  const exchange = new Exchange(fakeConnection(), snapshot);
  exchange.begin(snapshot, 7, 1_700_000_000_123, performance.now());
  exchange.decision = snapshot.policy.engine.decide(
    { engine: snapshot.policy.engine },
    { method: 'GET', authority: 'a', path: '/', fields: { values: () => [] }, tokens: [] },
  );
  exchange.failure = 'policy_unavailable';
  expect(JSON.parse(lineOf(exchange))).toMatchObject({
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

test('timestamp() and putTimestamp() are RFC 3339 to the millisecond', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_102_444_800_000 }), (ms) => {
      const wanted = new Date(ms).toISOString();
      const out = Buffer.alloc(24);
      expect(timestamp(ms)).toBe(wanted);
      expect([putTimestamp(out, 0, ms), out.toString()]).toEqual([24, wanted]);
    }),
  );
});

test.each([0, 7, 9, 10, 35, 36, 99, 100, 4_294_967_295, 4_294_967_296, Number.MAX_SAFE_INTEGER])(
  'putNumber() writes %d',
  (value) => {
    const out = Buffer.alloc(32);
    expect(out.toString('latin1', 0, putNumber(out, 0, value))).toBe(value.toString());
    expect(out.toString('latin1', 0, putNumber(out, 0, value, 36))).toBe(value.toString(36));
  },
);
