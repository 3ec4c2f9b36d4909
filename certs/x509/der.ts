/**
 * A reader of DER (X.690), strict where BER is loose: definite and minimal lengths, low tag numbers, nothing left over. It reads in
 * place, byte ranges of one buffer, and never decodes what it was not asked for.
 *
 * A fault is sticky and never thrown: once anything is wrong, `isSound` is false for the cursor and all that came of the same
 * buffer, and every further read yields an empty element. Whoever reads asks once, at the end.
 *
 * node-forge's `asn1.fromDer` is not used for reading: it takes indefinite and padded lengths, looks for structures inside of bit
 * strings, and costs 5.5 MB of resident memory. A test holds the two against each other.
 */

/** Tags as they stand in the first byte, class and form included. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** The tag of a context-specific element: `[0]` constructed is 0xa0, primitive 0x80. */
export function contextTag(number: number, form: 'constructed' | 'primitive'): number {
  return (form === 'constructed' ? 0xa0 : 0x80) | number;
}

/** Elements of one constructed value, read in order. */
export class DerCursor {
  readonly #bytes: Buffer;
  readonly #end: number;
  readonly #health: { isSound: boolean };
  #at: number;
  #contentStart = 0;
  #contentEnd = 0;

  private constructor(bytes: Buffer, start: number, end: number, health: { isSound: boolean }) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#health = health;
  }

  /** A cursor before the first of the elements that fill `bytes`. */
  static over(bytes: Buffer): DerCursor {
    return new DerCursor(bytes, 0, bytes.length, { isSound: true });
  }

  /** Whether everything read so far, from here or from any cursor of the same buffer, was well formed and as expected. */
  get isSound(): boolean {
    return this.#health.isSound;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#end || !this.#health.isSound;
  }

  /** The tag of the next element, or -1 at the end. */
  peekTag(): number {
    return this.isAtEnd ? -1 : (this.#bytes[this.#at] ?? -1);
  }

  /** The contents of the next element, which must have this tag. */
  read(tag: number): Buffer {
    return this.#next(tag) ? this.#bytes.subarray(this.#contentStart, this.#contentEnd) : EMPTY;
  }

  /** The next element whole, tag and length included. */
  readWhole(tag: number): Buffer {
    const start = this.#at;
    return this.#next(tag) ? this.#bytes.subarray(start, this.#contentEnd) : EMPTY;
  }

  /** A cursor over the contents of the next element. */
  enter(tag: number): DerCursor {
    const isThere = this.#next(tag);
    return new DerCursor(this.#bytes, isThere ? this.#contentStart : 0, isThere ? this.#contentEnd : 0, this.#health);
  }

  /** As `enter`, or null when the next element has another tag or there is none. */
  enterOptional(tag: number): DerCursor | null {
    return this.peekTag() === tag ? this.enter(tag) : null;
  }

  /** As `read`, or null when the next element has another tag or there is none. */
  readOptional(tag: number): Buffer | null {
    return this.peekTag() === tag ? this.read(tag) : null;
  }

  /** Reads the next element whatever its tag, and returns the tag; its contents are `lastContents`. */
  readAny(): number {
    const tag = this.peekTag();
    return tag >= 0 && this.#next(tag) ? tag : this.#fail();
  }

  get lastContents(): Buffer {
    return this.#bytes.subarray(this.#contentStart, this.#contentEnd);
  }

  /** A BOOLEAN, which in DER is 0x00 or 0xff. */
  readBoolean(): boolean {
    const contents = this.read(TAG.boolean);
    if (contents.length !== 1 || (contents[0] !== 0 && contents[0] !== 0xff)) this.#fail();
    return contents[0] === 0xff;
  }

  /** A non-negative INTEGER below 2^31, minimally encoded. */
  readSmallInteger(): number {
    const contents = this.read(TAG.integer);
    if (!isMinimalInteger(contents) || contents.length > 4 || ((contents[0] ?? 0) & 0x80) !== 0) this.#fail();
    return this.isSound ? contents.readUIntBE(0, contents.length) : 0;
  }

  /** The contents of an INTEGER of any size and sign, minimally encoded. */
  readInteger(): Buffer {
    const contents = this.read(TAG.integer);
    if (!isMinimalInteger(contents)) this.#fail();
    return contents;
  }

  /** An OBJECT IDENTIFIER in dotted form. */
  readOid(): string {
    const text = oidText(this.read(TAG.oid));
    if (text === null) this.#fail();
    return text ?? '';
  }

  /** The first `bits` (at most 16) of a BIT STRING as a number whose highest bit is bit 0, the named-bit notation of X.509. */
  readNamedBits(bits: number): number {
    const contents = this.read(TAG.bitString);
    const unused = contents[0] ?? 8;
    const last = contents.length > 1 ? (contents[contents.length - 1] ?? 0) : 0;
    if (unused > 7 || (contents.length === 1 && unused !== 0) || (last & ((1 << unused) - 1)) !== 0) this.#fail();
    return (((contents[1] ?? 0) << 8) | (contents[2] ?? 0)) >> (16 - bits);
  }

  /** A BIT STRING of whole bytes. */
  readBitStringBytes(): Buffer {
    const contents = this.read(TAG.bitString);
    if (contents[0] !== 0) this.#fail();
    return contents.subarray(1);
  }

  /** A UTCTime or GeneralizedTime in the form that RFC 5280 4.1.2.5 demands (to the second, `Z`), in milliseconds. */
  readTimeMs(): number {
    const tag = this.readAny();
    const text = this.lastContents.toString('latin1');
    const timeMs = tag === TAG.utcTime || tag === TAG.generalizedTime ? timeTextMs(text, tag) : null;
    if (timeMs === null) this.#fail();
    return timeMs ?? 0;
  }

  /** Demands that nothing is left. */
  close(): void {
    if (this.#at !== this.#end) this.#fail();
  }

  #next(tag: number): boolean {
    if (this.isAtEnd || this.#bytes[this.#at] !== tag || (tag & 0x1f) === 0x1f) return this.#fail() > 0;
    let at = this.#at + 1;
    let length = at < this.#end ? (this.#bytes[at] ?? 0) : 0x80;
    at++;
    if (length >= 0x80) {
      const bytes = length & 0x7f;
      if (bytes === 0 || bytes > 4 || at + bytes > this.#end) return this.#fail() > 0;
      length = this.#bytes.readUIntBE(at, bytes);
      // Minimal: no short form in long clothes, no leading zero byte.
      if (length < 0x80 || length < 2 ** (8 * (bytes - 1))) return this.#fail() > 0;
      at += bytes;
    }
    if (at + length > this.#end) return this.#fail() > 0;
    this.#contentStart = at;
    this.#contentEnd = at + length;
    this.#at = at + length;
    return true;
  }

  #fail(): -1 {
    this.#health.isSound = false;
    this.#contentStart = 0;
    this.#contentEnd = 0;
    return -1;
  }
}

/** Dotted form of an OBJECT IDENTIFIER's contents, or null when they are not well formed. */
export function oidText(contents: Buffer): string | null {
  if (contents.length === 0 || contents.length > MAX_OID_BYTES) return null;
  let text = '';
  let arc = 0;
  let isArcStart = true;
  for (const byte of contents) {
    if (isArcStart && byte === 0x80) return null;
    arc = arc * 128 + (byte & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER / 128) return null;
    isArcStart = (byte & 0x80) === 0;
    if (!isArcStart) continue;
    if (text === '') {
      const first = Math.min(2, Math.floor(arc / 40));
      text = `${first}.${arc - 40 * first}`;
    } else {
      text += `.${arc}`;
    }
    arc = 0;
  }
  return isArcStart ? text : null;
}

function isMinimalInteger(contents: Buffer): boolean {
  if (contents.length === 0) return false;
  const first = contents[0] ?? 0;
  const second = contents[1] ?? 0;
  return contents.length === 1 || !((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
}

function timeTextMs(text: string, tag: number): number | null {
  const isUtc = tag === TAG.utcTime;
  if (text.length !== (isUtc ? 13 : 15) || !text.endsWith('Z')) return null;
  for (let at = 0; at < text.length - 1; at++) {
    const char = text.charCodeAt(at);
    if (char < 0x30 || char > 0x39) return null;
  }
  const rest = text.slice(isUtc ? 2 : 4);
  const short = Number(text.slice(0, 2));
  // RFC 5280 4.1.2.5.1: two digits from 50 are of the twentieth century.
  const year = isUtc ? short + (short >= 50 ? 1900 : 2000) : Number(text.slice(0, 4));
  const parts = [0, 2, 4, 6, 8].map((start) => Number(rest.slice(start, start + 2)));
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts;
  const date = new Date(Date.UTC(2000, month - 1, day, hour, minute, second));
  date.setUTCFullYear(year, month - 1, day);
  // A date that did not exist comes back as another one.
  const isReal =
    date.getUTCMonth() === month - 1 &&
    date.getUTCDate() === day &&
    date.getUTCHours() === hour &&
    date.getUTCMinutes() === minute &&
    date.getUTCSeconds() === second;
  return isReal ? date.getTime() : null;
}

const EMPTY = Buffer.alloc(0);
const MAX_OID_BYTES = 64;
