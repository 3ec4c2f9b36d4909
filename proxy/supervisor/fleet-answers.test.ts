import { describe, expect, test } from 'vitest';

import { fleetAnswer } from './fleet-answers.ts';
import { restartDelayMs } from './slot.ts';

const of = (worker: number, body: unknown): { worker: number; pid: number; body: unknown } => ({
  worker,
  pid: 100 + worker,
  body,
});

describe('fleetAnswer()', () => {
  test("tells the first one's state and what each has in force", () => {
    const body = (revision: string): object => ({ revision, state: 'ok', documents: 1, faults: [] });
    expect(fleetAnswer('/policy', [of(0, body('a')), of(1, body('b'))])).toEqual({
      ...body('a'),
      workers: [
        { worker: 0, pid: 100, revision: 'a', state: 'ok' },
        { worker: 1, pid: 101, revision: 'b', state: 'ok' },
      ],
    });
  });

  test('says which worker does not answer', () => {
    expect(fleetAnswer('/policy', [of(0, null), of(1, { revision: 'b' })])).toEqual({
      revision: 'b',
      workers: [
        { worker: 0, pid: 100, answers: false },
        { worker: 1, pid: 101, revision: 'b' },
      ],
    });
  });

  test('joins lists, decisions by their time', () => {
    expect(fleetAnswer('/connections', [of(0, [{ id: 1 }]), of(1, [{ id: 1 }, { id: 2 }])])).toEqual([
      { worker: 0, id: 1 },
      { worker: 1, id: 1 },
      { worker: 1, id: 2 },
    ]);
    const at = (second: number): object => ({ at: `2026-01-01T00:00:0${second}.000Z` });
    expect(fleetAnswer('/decisions', [of(0, [at(5), at(1)]), of(1, [at(3)])])).toEqual([
      { worker: 0, ...at(5) },
      { worker: 1, ...at(3) },
      { worker: 0, ...at(1) },
    ]);
  });

  test('finds the one that knows a decision, and says when nobody does', () => {
    expect(fleetAnswer('/decisions/x-1', [of(0, null), of(1, { id: 'x-1' })])).toEqual({ id: 'x-1' });
    expect(fleetAnswer('/decisions/x-1', [of(0, null), of(1, null)])).toBeNull();
    expect(fleetAnswer('/policy', [])).toBeNull();
  });
});

test.each([
  [1, 0],
  [2, 0],
  [3, 100],
  [4, 200],
  [6, 800],
  [20, 30_000],
])('restartDelayMs() after %d deaths in a minute is %d', (crashes, want) => {
  expect(restartDelayMs(crashes)).toBe(want);
});
