/** Go's layouts of times, in which the reference time `Mon Jan 2 15:04:05 MST 2006` shows the form. */
import { instantOf, zoneOf } from './time-zone.ts';
import type { Civil } from './time-zone.ts';

/** The layout that a constant of Go names, else the text itself. */
export function layoutOf(name: string): string {
  return NAMED.get(name) ?? name;
}

export function formatTime(layout: string, civil: Civil): string {
  let out = '';
  for (const piece of piecesOf(layout)) out += ELEMENTS.has(piece) || isFraction(piece) ? formatElement(piece, civil) : piece;
  return out;
}

/** Nanoseconds since 1970, or null for a text that is not of the layout. */
export function parseTime(layout: string, text: string): bigint | null {
  if (layout.length > MAX_LENGTH || text.length > MAX_LENGTH) return null;
  const fields = new Fields();
  const pieces = piecesOf(layout);
  let rest = text;
  for (const [index, piece] of pieces.entries()) {
    const next = ELEMENTS.has(piece) ? fields.take(piece, rest, pieces[index + 1] ?? '') : takeLiteral(piece, rest, fields);
    if (next === null) return null;
    rest = next;
  }
  return rest === '' ? fields.instant() : null;
}

function piecesOf(layout: string): readonly string[] {
  return layout.split(ELEMENT).filter((piece) => piece !== '');
}

function isFraction(piece: string): boolean {
  return /^[.,](?:0+|9+)$/u.test(piece);
}

function takeLiteral(piece: string, text: string, fields: Fields): string | null {
  if (isFraction(piece)) return fields.takeFraction(piece, text);
  return text.startsWith(piece) ? text.slice(piece.length) : null;
}

function formatElement(piece: string, civil: Civil): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const hour12 = civil.hour % 12 === 0 ? 12 : civil.hour % 12;
  switch (piece) {
    case '2006':
      return String(civil.year).padStart(4, '0');
    case '06':
      return two(civil.year % 100);
    case 'January':
      return MONTHS[civil.month - 1] ?? '';
    case 'Jan':
      return (MONTHS[civil.month - 1] ?? '').slice(0, 3);
    case '01':
      return two(civil.month);
    case '1':
      return String(civil.month);
    case 'Monday':
      return DAYS[civil.weekday] ?? '';
    case 'Mon':
      return (DAYS[civil.weekday] ?? '').slice(0, 3);
    case '02':
      return two(civil.day);
    case '_2':
      return String(civil.day).padStart(2, ' ');
    case '2':
      return String(civil.day);
    case '002':
      return String(dayOfYear(civil)).padStart(3, '0');
    case '15':
      return two(civil.hour);
    case '03':
      return two(hour12);
    case '3':
      return String(hour12);
    case '04':
      return two(civil.minute);
    case '4':
      return String(civil.minute);
    case '05':
      return two(civil.second);
    case '5':
      return String(civil.second);
    case 'PM':
      return civil.hour < 12 ? 'AM' : 'PM';
    case 'pm':
      return civil.hour < 12 ? 'am' : 'pm';
    case 'MST':
      return civil.zone;
    default:
      return isFraction(piece) ? formatFraction(piece, civil.nanosecond) : formatOffset(piece, civil.offsetSeconds);
  }
}

function formatFraction(piece: string, nanosecond: number): string {
  const digits = String(nanosecond)
    .padStart(9, '0')
    .slice(0, piece.length - 1);
  if (piece[1] === '0') return `${piece[0]}${digits}`;
  const short = digits.replace(/0+$/u, '');
  return short === '' ? '' : `${piece[0]}${short}`;
}

function formatOffset(piece: string, offsetSeconds: number): string {
  if (piece.startsWith('Z') && offsetSeconds === 0) return 'Z';
  const minutes = Math.floor(Math.abs(offsetSeconds) / 60);
  const sign = offsetSeconds < 0 ? '-' : '+';
  const hours = String(Math.floor(minutes / 60)).padStart(2, '0');
  const rest = String(minutes % 60).padStart(2, '0');
  const shape = piece.slice(1);
  if (shape === '07') return `${sign}${hours}`;
  return shape === '07:00' ? `${sign}${hours}:${rest}` : `${sign}${hours}${rest}`;
}

function dayOfYear({ day, month, year }: Civil): number {
  return Math.round((Date.UTC(year, month - 1, day) - Date.UTC(year, 0, 1)) / 86_400_000) + 1;
}

/** What was read so far of a time. */
class Fields {
  #year = 0;
  #month = 1;
  #day = 1;
  #dayOfYear: number | null = null;
  #hour = 0;
  #minute = 0;
  #second = 0;
  #nanosecond = 0;
  #isPm: boolean | null = null;
  #offsetSeconds = 0;

  /** What is left of the text, or null when it does not begin with the element. */
  take(piece: string, text: string, nextPiece: string): string | null {
    const shape = SHAPES[piece];
    const found = shape?.exec(text)?.[0];
    if (found === undefined) return null;
    const rest = text.slice(found.length);
    if (!this.#set(piece, found)) return null;
    // Go reads a fraction of a second that the layout does not show.
    if ((piece === '05' || piece === '5') && !isFraction(nextPiece) && /^[.,][0-9]/u.test(rest)) {
      return this.takeFraction('.9', rest);
    }
    return rest;
  }

  takeFraction(piece: string, text: string): string | null {
    const isOptional = piece[1] === '9';
    const digits = /^[.,]([0-9]+)/u.exec(text)?.[1];
    if (digits === undefined) return isOptional ? text : null;
    const used = isOptional ? digits : digits.slice(0, piece.length - 1);
    if (used.length < piece.length - 1 && !isOptional) return null;
    this.#nanosecond = Number(used.padEnd(9, '0').slice(0, 9));
    return text.slice(used.length + 1);
  }

  instant(): bigint | null {
    let hour = this.#hour;
    if (this.#isPm !== null) {
      if (hour === 12) hour = this.#isPm ? 12 : 0;
      else if (this.#isPm) hour += 12;
    }
    if (hour > 23 || this.#minute > 59 || this.#second > 59 || this.#month < 1 || this.#month > 12) return null;
    if (this.#dayOfYear === null && (this.#day < 1 || this.#day > daysIn(this.#year, this.#month))) return null;
    const [month, day] = this.#dayOfYear === null ? [this.#month, this.#day] : [1, this.#dayOfYear];
    const utc = zoneOf('UTC');
    if (utc === null) return null;
    const civil = {
      year: this.#year,
      month,
      day,
      hour,
      minute: this.#minute,
      second: this.#second,
      nanosecond: this.#nanosecond,
    };
    const instant = instantOf(civil, utc);
    return instant === null ? null : instant - BigInt(this.#offsetSeconds) * 1_000_000_000n;
  }

  #set(piece: string, found: string): boolean {
    const value = Number(found);
    if (piece === '2006') this.#year = value;
    else if (piece === '06') this.#year = value >= 69 ? 1900 + value : 2000 + value;
    else if (piece === '01' || piece === '1') this.#month = value;
    else if (piece === '02' || piece === '_2' || piece === '2') this.#day = value;
    else if (piece === '002') this.#dayOfYear = value;
    else if (piece === '15' || piece === '03' || piece === '3') {
      if (piece !== '15' && value > 12) return false;
      this.#hour = value;
    } else if (piece === '04' || piece === '4') this.#minute = value;
    else if (piece === '05' || piece === '5') this.#second = value;
    else if (piece === 'January' || piece === 'Jan') this.#month = monthOf(found);
    else if (piece === 'PM' || piece === 'pm') this.#isPm = found.toLowerCase() === 'pm';
    else if (piece === 'MST') this.#offsetSeconds = 0;
    else if (piece !== 'Monday' && piece !== 'Mon') return this.#setOffset(found);
    return true;
  }

  #setOffset(found: string): boolean {
    if (found === 'Z') return true;
    const [hours, minutes] = [Number(found.slice(1, 3)), Number(found.slice(3).replace(':', '') || '0')];
    if (hours > 24 || minutes > 59) return false;
    this.#offsetSeconds = (found.startsWith('-') ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
  }
}

function monthOf(text: string): number {
  return MONTHS.findIndex((month) => month.slice(0, 3).toLowerCase() === text.slice(0, 3).toLowerCase()) + 1;
}

function daysIn(year: number, month: number): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month, 0);
  return date.getUTCDate();
}

const MONTHS = [
  ...['January', 'February', 'March', 'April', 'May', 'June'],
  ...['July', 'August', 'September', 'October', 'November', 'December'],
];
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MAX_LENGTH = 200;

/** Elements of a layout, the longer before those that they begin with. */
const ELEMENT =
  /(January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|002|01|02|03|04|05|06|_2|15|PM|pm|-07:00|-0700|-07|Z07:00|Z0700|Z07|[.,]0+(?![0-9])|[.,]9+(?![0-9])|[1-5])/u;
const OFFSET = /^[+-][0-9]{2}/u;
const SHAPES: Readonly<Record<string, RegExp>> = {
  '2006': /^[0-9]{4}/u,
  '06': /^[0-9]{2}/u,
  '002': /^[0-9]{3}/u,
  '01': /^[0-9]{2}/u,
  '1': /^[0-9]{1,2}/u,
  '02': /^[0-9]{2}/u,
  _2: /^ ?[0-9]{1,2}/u,
  '2': /^[0-9]{1,2}/u,
  '15': /^[0-9]{2}/u,
  '03': /^[0-9]{2}/u,
  '3': /^[0-9]{1,2}/u,
  '04': /^[0-9]{2}/u,
  '4': /^[0-9]{1,2}/u,
  '05': /^[0-9]{2}/u,
  '5': /^[0-9]{1,2}/u,
  PM: /^(?:AM|PM)/u,
  pm: /^(?:am|pm)/u,
  MST: /^(?:UTC|GMT(?:[+-][0-9]{1,2})?|[A-Z]{3,4})/u,
  January: new RegExp(`^(?:${MONTHS.join('|')})`, 'iu'),
  Jan: new RegExp(`^(?:${MONTHS.map((month) => month.slice(0, 3)).join('|')})`, 'iu'),
  Monday: new RegExp(`^(?:${DAYS.join('|')})`, 'iu'),
  Mon: new RegExp(`^(?:${DAYS.map((day) => day.slice(0, 3)).join('|')})`, 'iu'),
  '-07': OFFSET,
  '-0700': /^[+-][0-9]{4}/u,
  '-07:00': /^[+-][0-9]{2}:[0-9]{2}/u,
  Z07: /^(?:Z|[+-][0-9]{2})/u,
  Z0700: /^(?:Z|[+-][0-9]{4})/u,
  'Z07:00': /^(?:Z|[+-][0-9]{2}:[0-9]{2})/u,
};
const ELEMENTS: ReadonlySet<string> = new Set(Object.keys(SHAPES));

const NAMED: ReadonlyMap<string, string> = new Map([
  ['ANSIC', 'Mon Jan _2 15:04:05 2006'],
  ['UnixDate', 'Mon Jan _2 15:04:05 MST 2006'],
  ['RubyDate', 'Mon Jan 02 15:04:05 -0700 2006'],
  ['RFC822', '02 Jan 06 15:04 MST'],
  ['RFC822Z', '02 Jan 06 15:04 -0700'],
  ['RFC850', 'Monday, 02-Jan-06 15:04:05 MST'],
  ['RFC1123', 'Mon, 02 Jan 2006 15:04:05 MST'],
  ['RFC1123Z', 'Mon, 02 Jan 2006 15:04:05 -0700'],
  ['RFC3339', '2006-01-02T15:04:05Z07:00'],
  ['RFC3339Nano', '2006-01-02T15:04:05.999999999Z07:00'],
]);
