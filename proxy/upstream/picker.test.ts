/** How endpoints are chosen, left out and tried again. */
import { describe, expect, test } from 'vitest';

import { TimerWheel } from '#base/timer-wheel.ts';
import { Random } from '#test/support/random.ts';
import type { OutlierConfig } from '#proto/config/proxy.ts';
import { plainDialer } from './dialer.ts';
import { Endpoint } from './endpoint.ts';
import { OutlierDetector } from './outlier-detector.ts';
import { Picker } from './picker.ts';
import { RetryBudget } from './retry-budget.ts';

describe('Picker.pick()', () => {
  test.each([1, 2, 3, 10])('of %i endpoints keeps all as busy as the others, however long each request lasts', (count) => {
    const random = new Random(count);
    const endpoints = endpointsOf(count);
    const picker = new Picker(endpoints, () => random.next());
    const open: Endpoint[] = [];
    const counts = new Map<Endpoint, number>();
    for (let i = 0; i < 4_000; i++) {
      const endpoint = picker.pick('');
      if (endpoint === null) throw new Error('none');
      endpoint.inFlight++;
      counts.set(endpoint, (counts.get(endpoint) ?? 0) + 1);
      open.push(endpoint);
      if (open.length > 100) {
        const [ended] = open.splice(random.below(open.length), 1);
        if (ended !== undefined) ended.inFlight--;
      }
    }
    const loads = endpoints.map(({ inFlight }) => inFlight);
    expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(6);
    for (const endpoint of endpoints) expect(counts.get(endpoint)).toBeGreaterThan(3_500 / count);
  });

  test('prefers the endpoint with less to do', () => {
    const endpoints = endpointsOf(2);
    const [first] = endpoints;
    if (first !== undefined) first.inFlight = 5;
    const picker = new Picker(endpoints, Math.random);
    for (let i = 0; i < 50; i++) expect(picker.pick('')?.name).toBe('e1');
  });

  test('avoids the endpoint that failed while there is another', () => {
    const random = new Random(3);
    const picker = new Picker(endpointsOf(3), () => random.next());
    for (let i = 0; i < 100; i++) expect(picker.pick('e1')?.name).not.toBe('e1');
    expect(new Picker(endpointsOf(1), Math.random).pick('e0')?.name).toBe('e0');
    expect(new Picker([], Math.random).pick('')).toBeNull();
  });
});

describe('OutlierDetector', () => {
  test('leaves an endpoint out after so many failures in a row, and takes it back when its time is over', () => {
    const { detector, endpoints, later } = detectorOf(3);
    const [bad] = endpoints;
    if (bad === undefined) throw new Error('none');
    for (let i = 0; i < 4; i++) detector.failed(bad, 'upstream_reset');
    expect(namesOf(detector)).toEqual(['e0', 'e1', 'e2']);
    detector.answered(bad, 503, 0);
    expect(namesOf(detector)).toEqual(['e1', 'e2']);
    later(999);
    expect(namesOf(detector)).toEqual(['e1', 'e2']);
    later(300);
    expect(namesOf(detector)).toEqual(['e0', 'e1', 'e2']);
    // The next time is longer.
    for (let i = 0; i < 5; i++) detector.failed(bad, 'upstream_timeout');
    later(1_500);
    expect(namesOf(detector)).toEqual(['e1', 'e2']);
    later(800);
    expect(namesOf(detector)).toEqual(['e0', 'e1', 'e2']);
    expect(bad.ejectionsTotal).toBe(2);
    // Doing well for a while takes each step back.
    for (let i = 0; i < 3; i++) {
      later(1_000);
      detector.answered(bad, 200, 0);
    }
    expect(bad.ejections).toBe(0);
  });

  test.each([
    ['an answer', (detector: OutlierDetector, endpoint: Endpoint) => detector.answered(endpoint, 200, 0)],
    ['an answer of the app', (detector: OutlierDetector, endpoint: Endpoint) => detector.answered(endpoint, 500, 0)],
    ['a denial', (detector: OutlierDetector, endpoint: Endpoint) => detector.answered(endpoint, 403, 0)],
  ])('begins anew to count after %s', (_what, well) => {
    const { detector, endpoints } = detectorOf(2);
    const [endpoint] = endpoints;
    if (endpoint === undefined) throw new Error('none');
    for (let i = 0; i < 20; i++) {
      for (let k = 0; k < 4; k++) detector.failed(endpoint, 'upstream_connect_failed');
      well(detector, endpoint);
    }
    expect(namesOf(detector)).toHaveLength(2);
  });

  test.each(['upstream_refused', 'downstream_closed', 'upstream_head_too_large', 'request_timeout', 'circuit_open'] as const)(
    'does not count %s against an endpoint',
    (failure) => {
      const { detector, endpoints } = detectorOf(2);
      const [endpoint] = endpoints;
      if (endpoint === undefined) throw new Error('none');
      for (let i = 0; i < 50; i++) detector.failed(endpoint, failure);
      expect(namesOf(detector)).toHaveLength(2);
    },
  );

  test.each([
    [1, 50, 1],
    [2, 50, 1],
    [4, 50, 2],
    [4, 10, 3],
    [10, 99, 1],
    [3, 0, 3],
    [3, 100, 0],
    [1, 100, 0],
  ])('of %i endpoints that all fail, at most %i in a hundred out, keeps %i', (count, maxEjectedPercent, kept) => {
    const { detector, endpoints } = detectorOf(count, { maxEjectedPercent });
    for (const endpoint of endpoints) for (let i = 0; i < 20; i++) detector.failed(endpoint, 'upstream_reset');
    expect(namesOf(detector)).toHaveLength(kept);
  });

  test('sends a second try to an endpoint that is left out rather than to the same again, and takes it back when that goes well', () => {
    const { detector, endpoints } = detectorOf(2);
    const [first, second] = endpoints;
    if (first === undefined || second === undefined) throw new Error('none');
    for (let i = 0; i < 5; i++) detector.failed(first, 'upstream_connect_failed');
    expect(detector.pick('')).toBe(second);
    expect(detector.pick('e0')).toBe(second);
    expect(detector.pick('e1')).toBe(first);
    // What had begun before says nothing.
    detector.answered(first, 200, 0);
    expect(namesOf(detector)).toEqual(['e1']);
    detector.answered(first, 200, 1);
    expect(namesOf(detector)).toEqual(['e0', 'e1']);
    expect(detectorOf(1).detector.pick('e0')?.name).toBe('e0');
  });

  test('leaves nobody out when it is told to count nothing', () => {
    const { detector, endpoints } = detectorOf(3, { consecutiveFailures: 0 });
    for (const endpoint of endpoints) for (let i = 0; i < 20; i++) detector.failed(endpoint, 'upstream_reset');
    expect(namesOf(detector)).toHaveLength(3);
  });
});

describe('RetryBudget.admits()', () => {
  test('allows so many tries of one exchange', () => {
    const budget = new RetryBudget({ attempts: 2, budgetPercent: 100, tryMs: 0 });
    expect([0, 1, 2, 3].map((tries) => budget.admits(tries))).toEqual([true, true, false, false]);
    expect(new RetryBudget({ attempts: 0, budgetPercent: 100, tryMs: 0 }).admits(0)).toBe(false);
  });

  test.each([
    { budgetPercent: 0, allowed: 3 },
    { budgetPercent: 10, allowed: 3 },
    { budgetPercent: 20, allowed: 4 },
    { budgetPercent: 50, allowed: 10 },
    { budgetPercent: 100, allowed: 20 },
  ])(
    'by $budgetPercent % of 20 requests under way lets $allowed be retries, and counts the rest',
    ({ budgetPercent, allowed }) => {
      const budget = new RetryBudget({ attempts: 1, budgetPercent, tryMs: 0 });
      for (let i = 0; i < 20; i++) budget.begun(0);
      let admitted = 0;
      for (let i = 0; i < 20; i++) {
        // The first try is over before a second begins; whoever gets none makes room for another request.
        budget.ended(0);
        const isAdmitted = budget.admits(0);
        budget.begun(isAdmitted ? 1 : 0);
        if (isAdmitted) admitted++;
      }
      expect(admitted).toBe(allowed);
      expect(budget.refusals).toBe(20 - allowed);
      for (let i = 0; i < allowed; i++) budget.ended(1);
      expect(budget.retrying).toBe(0);
      expect(budget.admits(0)).toBe(true);
    },
  );
});

function endpointsOf(count: number): Endpoint[] {
  return Array.from({ length: count }, (_, i) => new Endpoint(`e${i}`, plainDialer({ host: '127.0.0.1', port: 1 }), 'http1'));
}

function detectorOf(
  count: number,
  settings: Partial<OutlierConfig> = {},
): { detector: OutlierDetector; endpoints: Endpoint[]; later: (ms: number) => void } {
  let nowMs = 10_000;
  const wheel = new TimerWheel(250, () => nowMs);
  const endpoints = endpointsOf(count);
  const config = { consecutiveFailures: 5, ejectionMs: 1_000, maxEjectedPercent: 50, ...settings };
  const detector = new OutlierDetector(endpoints, config, wheel, Math.random);
  const later = (ms: number): void => {
    nowMs += ms;
    wheel.advance();
  };
  return { detector, endpoints, later };
}

function namesOf({ picker }: OutlierDetector): string[] {
  return picker.endpoints.map(({ name }) => name);
}
