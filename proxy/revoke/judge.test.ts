import { describe, expect, test } from 'vitest';

import { constantEngine, decision } from '#authz/engine/decisions.ts';
import type { ClassifiedConnection, Engine } from '#authz/engine/engine.ts';
import type { Decision, RequestAttributes } from '#authz/engine/input.ts';
import type { RequestHead } from '#wire/h1/head.ts';
import { fakeConnection } from '#test/support/fake-connection.ts';
import { FakeTime, fakeRuntime } from '#test/support/fake-runtime.ts';
import type { Caller } from '../carry.ts';
import { Exchange } from '../exchange.ts';
import { CanonicalTarget } from '../http/canonicalise.ts';
import { fieldPolicy } from '../http/fields.ts';
import { H1RequestReader } from '../http/h1-request-reader.ts';
import { noPolicy } from '../policy-snapshot.ts';
import type { PolicySnapshot } from '../snapshot.ts';
import { TcpExchange } from '../tcp/tcp-exchange.ts';
import { CallerPool } from '../upstream/caller-pool.ts';
import { Judge } from './judge.ts';

const ALLOWED = decision('allow', 'allowed_by_rule', 'sha256:1', 'test/open', '0');
const DENIED = decision('deny', 'denied_by_rule', 'sha256:2', 'test/closed', '0');

function policyOf(engine: Engine): PolicySnapshot {
  return { ...noPolicy(0), state: 'ok', engine };
}

/** Denies whoever is not of team blue. */
class TeamEngine implements Engine {
  readonly revision = 'sha256:team';
  readonly providers: readonly string[] = [];
  readonly readsQuery = false;
  readonly headerNames = ['x-team'];
  readsHttp(): boolean {
    return true;
  }
  classify(): ClassifiedConnection {
    return { engine: this };
  }
  decide(_connection: ClassifiedConnection, request: RequestAttributes): Decision {
    return request.fields.values('x-team').includes('blue') ? ALLOWED : DENIED;
  }
  decideConnection(): Decision {
    return DENIED;
  }
}

function setUp(fields = '', shift = 0) {
  const time = new FakeTime();
  const runtime = fakeRuntime(time);
  runtime.snapshot = { policy: policyOf(constantEngine(ALLOWED)), identity: null };
  const connection = fakeConnection();
  const exchange = new Exchange(connection, runtime.snapshot);
  exchange.begin(runtime.snapshot, 1, time.nowMs, time.nowMs);
  exchange.method = 'GET';
  exchange.path = '/x';
  exchange.authority = 'app.test';
  exchange.decision = ALLOWED;
  const reader = new H1RequestReader();
  const text = `${'\r\n'.repeat(shift)}GET /x HTTP/1.1\r\nHost: app.test\r\n${fields}\r\n`;
  const bytes = Buffer.concat([Buffer.from(text, 'latin1'), Buffer.alloc(shift * 10_000)]);
  expect(reader.readHead(bytes, 0, bytes.length, runtime.headLimits)).toBe(text.length);
  const caller: Caller = {
    exchange,
    connection,
    pool: new CallerPool('x'),
    classified: null,
    target: new CanonicalTarget(),
    fieldPolicy: fieldPolicy('allow', []),
    isBlocked: false,
    respondInformational() {},
    respondHead() {},
    respondBody() {},
    respondEnd() {},
    upstreamFailed() {},
    resumeRequest() {},
    carried() {},
  };
  return { time, runtime, caller, exchange, reader, judge: new Judge(runtime) };
}

describe('Judge.request()', () => {
  test('does nothing while the policy is the one that judged it', () => {
    const { judge, caller, reader, runtime } = setUp();
    expect(judge.request(caller, reader)).toBeNull();
    expect(runtime.report.rejudged).toBe(0);
  });

  test('lets a verdict that stands stand, with the decision of the beginning, and asks once', () => {
    const { judge, caller, reader, runtime, exchange } = setUp();
    const { snapshot } = exchange;
    runtime.snapshot = { policy: policyOf(constantEngine(decision('allow', 'allowed_all', 'sha256:3'))), identity: null };
    expect(judge.request(caller, reader)).toBeNull();
    expect(judge.request(caller, reader)).toBeNull();
    expect(exchange.decision).toBe(ALLOWED);
    expect(exchange.snapshot).toBe(snapshot);
    expect([runtime.report.rejudged, runtime.report.revoked]).toEqual([1, 0]);
  });

  test('writes down the decision that ends it', () => {
    const { judge, caller, reader, runtime, exchange } = setUp();
    runtime.snapshot = { policy: policyOf(constantEngine(DENIED)), identity: null };
    expect(judge.request(caller, reader)).toBe('revoked');
    expect(exchange.decision).toBe(DENIED);
    expect(exchange.snapshot).toBe(runtime.snapshot);
    expect(runtime.report.revoked).toBe(1);
  });

  test.each([
    { why: 'has it', fields: 'X-Team: blue\r\n', want: null },
    { why: 'has another', fields: 'X-Team: red\r\n', want: 'revoked' },
    { why: 'lacks it', fields: '', want: 'revoked' },
    { why: 'shadows it', fields: 'X-Team: blue\r\nX_Team: red\r\n', want: 'bad_field' },
  ])('reads a field that only the new policy reads, of a request that $why', ({ fields, want }) => {
    const { judge, caller, reader, runtime } = setUp(fields);
    runtime.snapshot = { policy: policyOf(new TeamEngine()), identity: null };
    expect(judge.request(caller, reader)).toBe(want);
  });

  test('reads it still when the buffer that the head came in was let go', () => {
    const { judge, caller, reader, runtime } = setUp('X-Team: blue\r\n', 2);
    expect(judge.request(caller, reader)).toBeNull();
    runtime.snapshot = { policy: policyOf(new TeamEngine()), identity: null };
    expect(judge.request(caller, reader)).toBeNull();
    expect(reader.again(runtime.headLimits)?.bytes.length).toBeLessThan(100);
  });

  test('a token that has run out ends it, whatever the policy says', () => {
    const { judge, caller, reader, exchange, time } = setUp();
    exchange.validUntilMs = time.nowMs + 1_000;
    expect(judge.request(caller, reader)).toBeNull();
    time.pass(1_000);
    expect(judge.request(caller, reader)).toBe('token_expired');
  });

  test('a head that is not there any more is no reason to go on', () => {
    const { judge, caller, runtime } = setUp();
    runtime.snapshot = { policy: policyOf(new TeamEngine()), identity: null };
    const lost = { again: (): RequestHead | null => null, freed() {}, compact() {} };
    expect(judge.request(caller, lost)).toBe('engine_error');
  });

  test('what no policy here has judged is left alone', () => {
    const { judge, caller, reader, runtime, exchange } = setUp();
    exchange.decision = null;
    runtime.snapshot = { policy: policyOf(constantEngine(DENIED)), identity: null };
    expect(judge.request(caller, reader)).toBeNull();
  });
});

test('Judge.connection() judges raw TCP once for each policy', () => {
  const { judge, runtime } = setUp();
  const exchange = new TcpExchange(fakeConnection(), runtime.snapshot, 1, 0, 0);
  exchange.decision = ALLOWED;
  expect(judge.connection(exchange)).toBeNull();
  runtime.snapshot = { policy: policyOf(constantEngine(ALLOWED)), identity: null };
  expect(judge.connection(exchange)).toBeNull();
  expect(judge.connection(exchange)).toBeNull();
  expect(runtime.report.rejudged).toBe(1);
  runtime.snapshot = { policy: policyOf(constantEngine(DENIED)), identity: null };
  expect(judge.connection(exchange)).toBe('revoked');
  expect(exchange.decision).toBe(DENIED);
});
