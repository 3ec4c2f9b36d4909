/** Time as an argument: what needs the hour takes a `Clock`, so that a test can set it. */
import { performance } from 'node:perf_hooks';

export interface Clock {
  /** Milliseconds since the epoch: certificates and log lines. May jump. */
  nowMs(): number;
  /** Milliseconds since an arbitrary start: deadlines and durations. Never runs backwards. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
