/** Durations as Go writes them, times as RFC 3339 writes them, and weekly windows, as documents hold them. */
import type { WeeklyWindow } from './validity.ts';

/** Milliseconds of `5s`, `1m30s` or `250ms`, rounded down; null for anything else. */
export function readDurationMs(text: string): number | null {
  if (!/^(?:[0-9]+(?:\.[0-9]+)?(?:ms|us|ns|h|m|s))+$/.test(text)) return null;
  let total = 0;
  for (const [, amount = '', unit = ''] of text.matchAll(/([0-9.]+)(ms|us|ns|h|m|s)/g))
    total += Number(amount) * (UNITS_MS[unit] ?? 0);
  return Math.floor(total);
}

/** Milliseconds since 1970 of a time with its offset, `2026-11-24T12:00:00Z`; null for anything else. */
export function readTimeMs(text: string): number | null {
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/.test(text)) return null;
  const time = Date.parse(text);
  return Number.isNaN(time) ? null : time;
}

/** Minutes since midnight of `08:30`, up to `24:00`; null for anything else. */
export function readMinutes(text: string): number | null {
  const [, hours = '', minutes = ''] = /^(\d{2}):(\d{2})$/.exec(text) ?? [];
  const total = Number(hours) * 60 + Number(minutes);
  return hours === '' || Number(minutes) > 59 || total > DAY_MINUTES ? null : total;
}

/**
 * Windows of some days, minutes since midnight. One that ends before it begins goes on into the next day, and into Monday from
 * Sunday.
 */
export function windowsOf(days: readonly number[], from: number, to: number): readonly WeeklyWindow[] {
  return days.flatMap((day) => {
    const start = day * DAY_MINUTES + from;
    const end = day * DAY_MINUTES + to + (to <= from ? DAY_MINUTES : 0);
    if (end <= WEEK_MINUTES) return [{ start, end }];
    return [
      { start, end: WEEK_MINUTES },
      { start: 0, end: end - WEEK_MINUTES },
    ].filter((window) => window.start < window.end);
  });
}

/** In the order of a week, as schedules name them. */
export const DAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'] as const;

const UNITS_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1, us: 0.001, ns: 0.000001 };
const DAY_MINUTES = 1_440;
const WEEK_MINUTES = 10_080;
