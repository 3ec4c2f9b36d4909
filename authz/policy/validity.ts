/**
 * When a policy is in force. The engine reads no clock: whoever selects the policies of a workload says the time, and is told
 * when to ask again. Times are milliseconds since 1970 in UTC, the schedule's time zone, which knows no summer time.
 */

export interface Validity {
  /** In force from then on; null for ever since. */
  readonly notBeforeMs: number | null;
  /** No longer in force from then on; null for never. */
  readonly expiresMs: number | null;
  /** In force within any of these windows only; empty for always. */
  readonly windows: readonly WeeklyWindow[];
}

/** A time of each week, in minutes since Monday 00:00 UTC: from `start` up to, not including, `end` (at most 10,080). */
export interface WeeklyWindow {
  readonly start: number;
  readonly end: number;
}

export function isInForce(validity: Validity | null, nowMs: number): boolean {
  if (validity === null) return true;
  const { expiresMs, notBeforeMs, windows } = validity;
  if (notBeforeMs !== null && nowMs < notBeforeMs) return false;
  if (expiresMs !== null && nowMs >= expiresMs) return false;
  const minute = weekOffsetMs(nowMs) / MINUTE_MS;
  return windows.length === 0 || windows.some(({ start, end }) => minute >= start && minute < end);
}

/** The next time after `nowMs` at which `isInForce` may answer otherwise, or null. */
export function nextBoundary(validity: Validity | null, nowMs: number): number | null {
  if (validity === null) return null;
  const { expiresMs, notBeforeMs, windows } = validity;
  if (expiresMs !== null && nowMs >= expiresMs) return null;
  if (notBeforeMs !== null && nowMs < notBeforeMs) return notBeforeMs;
  const weekStart = nowMs - weekOffsetMs(nowMs);
  const edges = windows.flatMap(({ start, end }) => [start, end].map((edge) => weekStart + edge * MINUTE_MS));
  const later = edges.map((edge) => (edge > nowMs ? edge : edge + WEEK_MS));
  const found = expiresMs === null ? later : [...later, expiresMs];
  return found.length === 0 ? null : found.reduce((left, right) => Math.min(left, right));
}

/** 1970 began on a Thursday. */
function weekOffsetMs(nowMs: number): number {
  const offset = (nowMs + 3 * DAY_MS) % WEEK_MS;
  return offset < 0 ? offset + WEEK_MS : offset;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;
