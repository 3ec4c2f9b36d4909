import { performance } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';

import { expect, test } from 'vitest';

import { VerifyCache } from '#certs/verify-cache.ts';
import { fakeConnection } from '#test/support/fake-connection.ts';
import { FakeTime, fakeRuntime } from '#test/support/fake-runtime.ts';
import type { Failure } from '../failure.ts';
import type { Connection } from '../listen/connection.ts';
import type { DownstreamConnection } from '../listen/downstream-connection.ts';
import { Revoker } from './revoker.ts';

class Open implements DownstreamConnection {
  readonly connection: Connection;
  readonly requests = 1;
  readonly isIdle = false;
  onClosed: (() => void) | null = null;
  asked = 0;
  ended: [Failure, string] | null = null;
  readonly #costMs: number;

  constructor(connection: Connection, costMs = 0) {
    this.connection = connection;
    this.#costMs = costMs;
  }

  drain(): void {}
  rejudge(): void {
    this.asked++;
    const untilMs = performance.now() + this.#costMs;
    while (performance.now() < untilMs) {
      // Something to do.
    }
  }
  destroy(failure: Failure, detail: string): void {
    this.ended = [failure, detail];
  }
}

function setUp(connections: readonly Open[]) {
  const time = new FakeTime();
  const runtime = fakeRuntime(time);
  for (const each of connections) runtime.opened(each);
  return { time, runtime, revoker: new Revoker(runtime, new VerifyCache()) };
}

test('a change visits every connection once, those that open meanwhile too', async () => {
  const connections = Array.from({ length: 50 }, (_, id) => new Open(fakeConnection({ id }), 0.5));
  const { runtime, revoker } = setUp(connections);
  revoker.policyChanged();
  expect(connections.every(({ asked }) => asked === 0)).toBe(true);
  await turn();
  const late = new Open(fakeConnection({ id: 99 }));
  runtime.opened(late);
  for (let i = 0; i < 50; i++) await turn();
  expect(connections.map(({ asked }) => asked)).toEqual(connections.map(() => 1));
  expect(late.asked).toBe(1);
});

test('ten thousand connections hold nothing up for more than 20 ms', async () => {
  const connections = Array.from({ length: 10_000 }, (_, id) => new Open(fakeConnection({ id }), 0.02));
  const { revoker } = setUp(connections);
  revoker.policyChanged();
  const gaps: number[] = [];
  for (let before = performance.now(); connections.some(({ asked }) => asked === 0);) {
    await turn();
    gaps.push(performance.now() - before);
    before = performance.now();
  }
  // 200 ms of work in slices of 4 ms; on a busy machine slices hold less, and their times say as much of other programs.
  expect(gaps.length).toBeGreaterThan(30);
  gaps.sort((a, b) => a - b);
  expect(gaps[gaps.length >> 1]).toBeLessThan(20);
});

test('a connection ends when its SVID does, and not before', async () => {
  const time = new FakeTime();
  const runtime = fakeRuntime(time);
  const [brief, long] = [time.nowMs + 2_000, Infinity].map((notAfterMs, id) => new Open(fakeConnection({ id, notAfterMs })));
  if (brief === undefined || long === undefined) throw new Error('no connections');
  for (const each of [brief, long]) runtime.opened(each);
  new Revoker(runtime, new VerifyCache()).start();
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 100) {
      time.pass(100);
      await turn();
    }
  };
  await pass(1_900);
  expect(brief.ended).toBeNull();
  await pass(1_000);
  expect(brief.ended).toEqual(['svid_expired', 'expired']);
  expect(long.ended).toBeNull();
});
