/**
 * Where a header block is decoded to: regular fields as lines of HTTP/1.1 behind each other with their ranges in a `FieldTable`,
 * pseudo-headers' values beside them. Bounds are counted as SETTINGS_MAX_HEADER_LIST_SIZE counts (RFC 9113, section 6.5.2), each
 * cookie crumb by itself. What makes a message malformed is kept as `fault`, and the block is read on, because the dynamic table
 * must follow.
 *
 * Hot path.
 */
import { fieldId } from '../../h1/field-names.ts';
import { FIELD, FieldTable, MAX_FIELDS } from '../../h1/head.ts';
import type { H2Fault } from '../faults.ts';
import { ENTRY_OVERHEAD } from './dynamic-table.ts';
import { KIND, PSEUDO } from './field-kind.ts';

/** Bounds of one field section. */
export interface FieldLimits {
  /** Names, values and 32 for each field. */
  readonly headerListBytes: number;
  readonly headerFields: number;
}

export class DecodedFields {
  /** The pseudo-headers' values from 0, the lines from `LINES_START`, with room before them for a start line. */
  readonly bytes = Buffer.allocUnsafeSlow(LINES_START + LINES_BYTES);
  table = new FieldTable();
  /** What makes the message malformed or too large; the first that was found. */
  fault: H2Fault | null = null;
  /** Where the lines end. */
  end = LINES_START;
  /** Start and end of each pseudo-header's value at `2 * PSEUDO`; an end of -1 when it is not there. */
  readonly pseudo = new Int32Array(16);
  /** The range of the last Host, which a request has apart from its lines; an end of -1 when there is none. */
  hostStart = 0;
  hostEnd = -1;
  hostCount = 0;
  cookieCount = 0;
  #limits: FieldLimits = { headerListBytes: 0, headerFields: 0 };
  #isRequest = false;
  #listBytes = 0;
  #pairs = 0;
  #pseudoEnd = 0;

  /**
   * Makes it empty.
   *
   * @param first      index in `table` of the first field
   * @param isRequest  Host is kept apart and cookie crumbs become one line (RFC 9113, sections 8.2.3 and 8.3.1)
   */
  begin(table: FieldTable, first: number, isRequest: boolean, limits: FieldLimits): void {
    this.table = table;
    table.count = first;
    table.hasUnderscore = false;
    this.fault = null;
    this.end = LINES_START;
    this.hostEnd = -1;
    this.hostCount = 0;
    this.cookieCount = 0;
    this.#limits = limits;
    this.#isRequest = isRequest;
    this.#listBytes = 0;
    this.#pairs = 0;
    this.#pseudoEnd = 0;
    const { pseudo } = this;
    for (let index = 3; index < 16; index += 2) pseudo[index] = -1;
  }

  /** Adds the field whose line is `bytes` from `start` to `end`. */
  addLine(bytes: Buffer, start: number, end: number, nameLength: number, id: number, kind: number): void {
    if (!this.#mayAdd(end - start - 4, kind)) return;
    const valueStart = start + nameLength + 2;
    if ((kind & KIND.pseudo) !== 0) {
      this.#addPseudo(kind & KIND.pseudo, bytes, valueStart, end - 2);
      return;
    }
    if (id !== FIELD.unknown && this.#isRequest && this.#addApart(id, bytes, valueStart, end - 2)) return;
    const at = this.end;
    const to = this.bytes;
    if (end - start > LOOP_LIMIT) bytes.copy(to, at, start, end);
    else for (let from = start; from < end; from++) to[at + from - start] = bytes[from] ?? 0;
    this.#enter(at, at + nameLength, at + end - start, id, kind);
  }

  /**
   * Adds the field whose line was written at `this.end` already, up to `end`. The line is taken or not; what is at `this.end`
   * afterwards may be overwritten.
   */
  addWritten(nameEnd: number, end: number, id: number, kind: number): void {
    const start = this.end;
    if (!this.#mayAdd(end - start - 4, kind)) return;
    if ((kind & KIND.pseudo) !== 0) this.#addPseudo(kind & KIND.pseudo, this.bytes, nameEnd + 2, end - 2);
    else if (id === FIELD.unknown || !this.#isRequest || !this.#addApart(id, this.bytes, nameEnd + 2, end - 2)) {
      this.#enter(start, nameEnd, end, id, kind);
    }
  }

  /** Ends a request's fields: cookie crumbs become one line. */
  joinCookies(): void {
    if (this.cookieCount === 0) return;
    const at = this.end;
    const to = this.bytes;
    COOKIE_NAME.copy(to, at);
    COOKIES.bytes.copy(to, at + 8, 0, COOKIES.end);
    const end = at + 8 + COOKIES.end;
    to[end] = 13;
    to[end + 1] = 10;
    this.#enter(at, at + 6, end + 2, FIELD.cookie, 0);
  }

  #mayAdd(length: number, kind: number): boolean {
    this.#listBytes += length + ENTRY_OVERHEAD;
    this.#pairs++;
    if (this.#listBytes > this.#limits.headerListBytes || this.#pairs > this.#limits.headerFields) {
      // Named first: of a message that is too large nothing else was looked at to the end.
      this.fault = 'fields_too_large';
      return false;
    }
    if ((kind & (KIND.badName | KIND.badValue)) === 0) return true;
    this.fault ??= (kind & KIND.badName) === 0 ? 'field_value' : 'field_name';
    return false;
  }

  #addPseudo(which: number, bytes: Buffer, start: number, end: number): void {
    const { pseudo } = this;
    if (which === PSEUDO.unknown) this.fault ??= 'pseudo_unknown';
    // RFC 9113, section 8.3: before all regular fields, each once.
    else if (this.end !== LINES_START || this.hostEnd >= 0 || this.cookieCount > 0) this.fault ??= 'pseudo_misplaced';
    else if ((pseudo[2 * which + 1] ?? 0) >= 0) this.fault ??= 'pseudo_repeated';
    else {
      pseudo[2 * which] = this.#pseudoEnd;
      this.#pseudoEnd = this.#keepApart(bytes, start, end);
      pseudo[2 * which + 1] = this.#pseudoEnd;
    }
  }

  /** Fields of a request that do not become lines of their own. */
  #addApart(id: number, bytes: Buffer, start: number, end: number): boolean {
    if (id === FIELD.host) {
      this.hostCount++;
      this.hostStart = this.#pseudoEnd;
      this.#pseudoEnd = this.#keepApart(bytes, start, end);
      this.hostEnd = this.#pseudoEnd;
      return true;
    }
    if (id !== FIELD.cookie) return false;
    const to = COOKIES.bytes;
    let at = this.cookieCount++ === 0 ? 0 : COOKIES.end;
    // An empty crumb adds nothing: with a separator behind the last one the value would not end where HTTP/1.1 ends it.
    if (at !== 0 && end > start) {
      to[at++] = 59;
      to[at++] = 32;
    }
    COOKIES.end = at + bytes.copy(to, at, start, end);
    return true;
  }

  #keepApart(bytes: Buffer, start: number, end: number): number {
    const at = this.#pseudoEnd;
    if (end - start > LOOP_LIMIT) return at + bytes.copy(this.bytes, at, start, end);
    for (let from = start; from < end; from++) this.bytes[at + from - start] = bytes[from] ?? 0;
    return at + end - start;
  }

  #enter(start: number, nameEnd: number, end: number, id: number, kind: number): void {
    const { table } = this;
    const { count, ranges } = table;
    if (count >= MAX_FIELDS) {
      this.fault = 'fields_too_large';
      return;
    }
    const entry = count << 2;
    ranges[entry] = start;
    ranges[entry + 1] = nameEnd;
    ranges[entry + 2] = nameEnd + 2;
    ranges[entry + 3] = end - 2;
    table.ids[count] = id;
    table.dropped[count] = 0;
    table.count = count + 1;
    if ((kind & KIND.underscore) !== 0) table.hasUnderscore = true;
    this.end = end;
  }
}

/** The `FIELD` number of a name that was just decoded; names of pseudo-headers have none. */
export function idOfName(bytes: Buffer, start: number, end: number, kind: number): number {
  return (kind & (KIND.pseudo | KIND.badName)) === 0 ? fieldId(bytes, start, end) : FIELD.unknown;
}

/** The largest value of `FieldLimits.headerListBytes` that this has room for. */
export const MAX_HEADER_LIST_BYTES = 65_536;

/** The largest block of encoded fields that this has room for, however it expands. */
export const MAX_BLOCK_BYTES = 65_536;

/**
 * Where the lines start in `DecodedFields.bytes`. Before them: pseudo-headers and Host, each at most `MAX_HEADER_LIST_BYTES`
 * together, then a start line and a Host line made of the same.
 */
export const LINES_START = 3 * MAX_HEADER_LIST_BYTES;

/** All lines of a list, the joined cookies, and one field more, which is decoded before its size is known. */
const LINES_BYTES = 2 * MAX_HEADER_LIST_BYTES + 2 * MAX_BLOCK_BYTES;

/** Up to about this length a loop is cheaper than the call into native code. */
const LOOP_LIMIT = 48;

const COOKIE_NAME = Buffer.from('cookie: ', 'latin1');

/** Cookie crumbs of the one block that is being decoded. */
const COOKIES = { bytes: Buffer.allocUnsafeSlow(MAX_HEADER_LIST_BYTES), end: 0 };
