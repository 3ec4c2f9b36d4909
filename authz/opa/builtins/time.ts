/**
 * `time.*`: nanoseconds since 1970 in the range of 64 bits, calendar dates of any named zone by the runtime's zone data. The
 * present is the evaluation's one time.
 */
import { normal, toBigInt } from '../numbers.ts';
import { isArray, isNumber } from '../value.ts';
import type { RegoValue } from '../value.ts';
import { ofText, ofTwoTexts, smallInteger } from './builtin.ts';
import type { BuiltinTable } from './builtin.ts';
import { formatTime, layoutOf, parseTime } from './time-layout.ts';
import { civilOf, instantOf, zoneOf } from './time-zone.ts';
import type { Civil, Zone } from './time-zone.ts';

export const TIME_BUILTINS: BuiltinTable = {
  'time.now_ns': (_, { nowNs }) => normal(nowNs),
  'time.parse_ns': ofTwoTexts((layout, text) => inRange(parseTime(layoutOf(layout), text))),
  'time.parse_rfc3339_ns': ofText((text) => inRange(parseTime(layoutOf('RFC3339'), text))),
  'time.parse_duration_ns': ofText((text) => inRange(parseDuration(text))),
  'time.format': ([value]) => {
    const moment = readMoment(value);
    if (moment === null) return undefined;
    const layout = moment.layout === '' ? 'RFC3339Nano' : moment.layout;
    return formatTime(layoutOf(layout), civilOf(moment.ns, moment.zone));
  },
  'time.date': ([value]) => onCivil(value, ({ year, month, day }) => [year, month, day]),
  'time.clock': ([value]) => onCivil(value, ({ hour, minute, second }) => [hour, minute, second]),
  'time.weekday': ([value]) => onCivil(value, ({ weekday }) => WEEKDAYS[weekday] ?? ''),
  'time.add_date': ([value, years, months, days]) => {
    const moment = readMoment(value);
    const [y, m, d] = [smallInteger(years), smallInteger(months), smallInteger(days)];
    if (moment === null || y === null || m === null || d === null) return undefined;
    const civil = civilOf(moment.ns, moment.zone);
    const moved = { ...civil, year: civil.year + y, month: civil.month + m, day: civil.day + d };
    return inRange(instantOf(moved, moment.zone));
  },
  'time.diff': ([left, right]) => {
    const [a, b] = [readMoment(left), readMoment(right)];
    if (a === null || b === null) return undefined;
    const [from, to] = a.ns > b.ns ? [b.ns, a.ns] : [a.ns, b.ns];
    return difference(civilOf(from, a.zone), civilOf(to, a.zone));
  },
};

interface Moment {
  readonly ns: bigint;
  readonly zone: Zone;
  readonly layout: string;
}

function readMoment(value: RegoValue | undefined): Moment | null {
  const [number, zoneName = '', layout = ''] = isArray(value) ? value : [value ?? null];
  if (!isNumber(number) || typeof zoneName !== 'string' || typeof layout !== 'string') return null;
  const ns = toBigInt(number);
  const zone = zoneOf(zoneName);
  return ns === null || ns < MIN_NS || ns > MAX_NS || zone === null ? null : { ns, zone, layout };
}

function onCivil(value: RegoValue | undefined, read: (civil: Civil) => RegoValue): RegoValue | undefined {
  const moment = readMoment(value);
  return moment === null ? undefined : read(civilOf(moment.ns, moment.zone));
}

function inRange(ns: bigint | null): RegoValue | undefined {
  return ns === null || ns < MIN_NS || ns > MAX_NS ? undefined : normal(ns);
}

/** Years, months, days, hours, minutes and seconds between two civil times, the first being the earlier. */
function difference(from: Civil, to: Civil): RegoValue {
  let [year, month, day] = [to.year - from.year, to.month - from.month, to.day - from.day];
  let [hour, minute, second] = [to.hour - from.hour, to.minute - from.minute, to.second - from.second];
  if (second < 0) {
    second += 60;
    minute--;
  }
  if (minute < 0) {
    minute += 60;
    hour--;
  }
  if (hour < 0) {
    hour += 24;
    day--;
  }
  if (day < 0) {
    day += new Date(Date.UTC(from.year, from.month, 0)).getUTCDate();
    month--;
  }
  if (month < 0) {
    month += 12;
    year--;
  }
  return [year, month, day, hour, minute, second];
}

/** Go's time.ParseDuration: `1h30m`, `-1.5s`, `100ms`. */
function parseDuration(text: string): bigint | null {
  if (text.length > 100) return null;
  const sign = text.startsWith('-') ? -1n : 1n;
  const rest = text.replace(/^[+-]/u, '');
  if (rest === '0') return 0n;
  if (!/^(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+$/u.test(rest)) return null;
  let total = 0n;
  for (const [, whole = '', fraction = '', unit = ''] of rest.matchAll(/([0-9]*)\.?([0-9]*)([a-zµμ]+)/gu)) {
    const scale = UNITS[unit] ?? 0n;
    total += BigInt(whole === '' ? '0' : whole) * scale;
    if (fraction !== '') total += (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length);
  }
  return sign * total;
}

const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};
const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MIN_NS = -(1n << 63n);
const MAX_NS = (1n << 63n) - 1n;
