/** Civil time in a zone, from instants and back, by the zone data of the runtime. */

export interface Zone {
  /** IANA name. */
  readonly name: string;
  /** Null for UTC. */
  readonly format: Intl.DateTimeFormat | null;
}

export interface Civil {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly nanosecond: number;
  /** 0 is Sunday. */
  readonly weekday: number;
  readonly offsetSeconds: number;
  /** Short name of the zone at that time, such as `CET`. */
  readonly zone: string;
}

/** Null for a zone that is not known. `Local` is UTC: what a policy says may not depend on the machine. */
export function zoneOf(name: string): Zone | null {
  if (name === '' || name === 'UTC' || name === 'Local') return UTC;
  const known = zones.get(name);
  if (known !== undefined) return known;
  if (!/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/u.test(name)) return null;
  try {
    const format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
      era: 'short',
    });
    const zone: Zone = { name, format };
    if (zones.size < MAX_ZONES) zones.set(name, zone);
    return zone;
  } catch {
    return null;
  }
}

export function civilOf(ns: bigint, zone: Zone): Civil {
  const whole = floorDivide(ns, 1_000_000_000n);
  const seconds = Number(whole);
  const offsetSeconds = offsetAt(seconds, zone);
  const date = new Date((seconds + offsetSeconds) * 1000);
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    nanosecond: Number(ns - whole * 1_000_000_000n),
    weekday: date.getUTCDay(),
    offsetSeconds,
    zone: zoneName(seconds, offsetSeconds, zone),
  };
}

/** Nanoseconds of a civil time; its fields may lie beyond their ranges. Null when no such year is. */
export function instantOf(
  civil: Pick<Civil, 'year' | 'month' | 'day' | 'hour' | 'minute' | 'second' | 'nanosecond'>,
  zone: Zone,
): bigint | null {
  const { year, month, day, hour, minute, second, nanosecond } = civil;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const local = date.getTime() / 1000;
  if (!Number.isFinite(local)) return null;
  // As Go does: the offset in force some hours before or after settles which of two readings holds.
  let seconds = local - offsetAt(local, zone);
  const offset = offsetAt(seconds, zone);
  if (seconds + offset !== local) seconds = local - offset;
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanosecond);
}

function offsetAt(seconds: number, { format }: Zone): number {
  if (format === null) return 0;
  const fields = new Map(format.formatToParts(seconds * 1000).map(({ type, value }) => [type, value]));
  const field = (name: Intl.DateTimeFormatPartTypes): number => Number(fields.get(name));
  const year = fields.get('era') === 'BC' ? 1 - field('year') : field('year');
  const local = new Date(0);
  local.setUTCFullYear(year, field('month') - 1, field('day'));
  local.setUTCHours(field('hour'), field('minute'), field('second'));
  return local.getTime() / 1000 - seconds;
}

function zoneName(seconds: number, offsetSeconds: number, { format, name }: Zone): string {
  if (format === null) return 'UTC';
  for (const locale of ['en-US', 'en-GB', 'en-AU']) {
    const short = new Intl.DateTimeFormat(locale, { timeZone: name, timeZoneName: 'short' })
      .formatToParts(seconds * 1000)
      .find(({ type }) => type === 'timeZoneName')?.value;
    if (short !== undefined && /^[A-Z]+$/u.test(short)) return short;
  }
  const minutes = Math.abs(offsetSeconds) / 60;
  const digits = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  const rest = minutes % 60 === 0 ? '' : digits(minutes % 60);
  return `${offsetSeconds < 0 ? '-' : '+'}${digits(minutes / 60)}${rest}`;
}

function floorDivide(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  return value < 0n && quotient * by !== value ? quotient - 1n : quotient;
}

const UTC: Zone = { name: 'UTC', format: null };
const zones = new Map<string, Zone>();
/** Zone names come from policies and may come from input. */
const MAX_ZONES = 64;
