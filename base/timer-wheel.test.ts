import { expect, test } from 'vitest';
import { Deadline, TimerWheel } from './timer-wheel.ts';

class Probe extends Deadline {
  fired: number[] = [];
  readonly now: () => number;
  constructor(now: () => number) {
    super();
    this.now = now;
  }
  override onDeadline(): void {
    this.fired.push(this.now());
  }
}

function wheelAt(startMs: number) {
  const time = { ms: startMs };
  const wheel = new TimerWheel(100, () => time.ms);
  const runUntil = (ms: number): void => {
    while (time.ms < ms) {
      time.ms += 100;
      wheel.advance();
    }
  };
  return { time, wheel, runUntil, probe: () => new Probe(() => time.ms) };
}

test.each([
  { delayMs: 1, latest: 200 },
  { delayMs: 100, latest: 200 },
  { delayMs: 950, latest: 1100 },
  { delayMs: 60_000, latest: 60_200 },
  { delayMs: 200_000, latest: 200_200 },
])('arm() fires once, never early, within a tick: $delayMs ms', ({ delayMs, latest }) => {
  const { wheel, runUntil, probe } = wheelAt(0);
  const entry = probe();
  wheel.arm(entry, delayMs);
  runUntil(300_000);
  expect(entry.fired).toHaveLength(1);
  expect(entry.fired[0]).toBeGreaterThanOrEqual(delayMs);
  expect(entry.fired[0]).toBeLessThanOrEqual(latest);
});

test('arm() again moves a deadline later and earlier', () => {
  const { wheel, runUntil, probe } = wheelAt(0);
  const later = probe();
  const earlier = probe();
  wheel.arm(later, 500);
  wheel.arm(earlier, 10_000);
  runUntil(300);
  wheel.arm(later, 5_000);
  wheel.arm(earlier, 400);
  runUntil(4_000);
  expect(later.fired).toEqual([]);
  expect(earlier.fired).toHaveLength(1);
  runUntil(6_000);
  expect(later.fired).toHaveLength(1);
});

test('disarm() and remove() keep a deadline from firing', () => {
  const { wheel, runUntil, probe } = wheelAt(50);
  const disarmed = probe();
  const removed = probe();
  wheel.arm(disarmed, 300);
  wheel.arm(removed, 300);
  wheel.disarm(disarmed);
  wheel.remove(removed);
  runUntil(2_000);
  expect([...disarmed.fired, ...removed.fired]).toEqual([]);
});

test('advance() after a long stall fires everything that is due, once', () => {
  const { time, wheel, probe } = wheelAt(0);
  const entries = [1, 50, 5_000, 51_000].map((delay) => {
    const entry = probe();
    wheel.arm(entry, delay);
    return entry;
  });
  time.ms = 900_000;
  wheel.advance();
  wheel.advance();
  expect(entries.map((entry) => entry.fired.length)).toEqual([1, 1, 1, 1]);
});

test('a callback may remove a deadline that is due in the same tick', () => {
  const { wheel, runUntil, probe } = wheelAt(0);
  const victim = probe();
  const killer = probe();
  killer.onDeadline = () => wheel.remove(victim);
  wheel.arm(victim, 200);
  wheel.arm(killer, 200);
  runUntil(1_000);
  expect(victim.fired.length).toBeLessThanOrEqual(1);
});

test('tick() fires nothing at once after a stall of the process: what came in meanwhile may move the deadline', () => {
  const { time, wheel, probe } = wheelAt(0);
  const moved = probe();
  const due = probe();
  wheel.arm(moved, 1_000);
  wheel.arm(due, 1_000);
  time.ms = 5_000;
  wheel.tick();
  expect([moved.fired, due.fired]).toEqual([[], []]);
  // What is read now counts from now.
  wheel.arm(moved, 1_000);
  time.ms = 5_100;
  wheel.tick();
  expect([moved.fired, due.fired]).toEqual([[], [5_100]]);
  for (time.ms = 5_200; time.ms <= 6_400; time.ms += 100) wheel.tick();
  expect(moved.fired).toHaveLength(1);
  expect(moved.fired[0]).toBeGreaterThanOrEqual(6_000);
});

test('tick() forgives one stall only: where every tick is late, deadlines still come', () => {
  const { time, wheel, probe } = wheelAt(0);
  const entry = probe();
  wheel.arm(entry, 1_000);
  for (time.ms = 2_000; time.ms <= 10_000; time.ms += 2_000) wheel.tick();
  expect(entry.fired).toEqual([4_000]);
});
