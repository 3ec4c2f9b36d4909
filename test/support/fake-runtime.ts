/** A runtime for unit tests of what works on open connections: a clock that is set, no listeners, no logs. */
import { TimerWheel } from '#base/timer-wheel.ts';
import type { ProxyLimits, ProxyTimeouts } from '#proto/config/proxy.ts';
import { noPolicy } from '#proxy/policy-snapshot.ts';
import { Report } from '#proxy/report/report.ts';
import { Runtime } from '#proxy/runtime.ts';

export class FakeTime {
  nowMs = 1_000_000;
  readonly wheel = new TimerWheel(10, () => this.nowMs);

  pass(ms: number): void {
    this.nowMs += ms;
    this.wheel.advance();
  }
}

export function fakeRuntime(time: FakeTime): Runtime {
  return new Runtime({
    clock: { nowMs: () => time.nowMs, monotonicMs: () => time.nowMs },
    wheel: time.wheel,
    // What is tested with it looks at no other.
    limits: { headBytes: 16_384, fields: 100, connectionsPerIdentity: 1_000_000 } as ProxyLimits,
    timeouts: {} as ProxyTimeouts,
    report: new Report({
      accessLog: null,
      flows: null,
      workload: { namespace: 'test', name: 'app', labels: {}, principal: null },
      ringSize: 8,
    }),
    snapshot: { policy: noPolicy(0), identity: null },
  });
}
