/**
 * Writes DER with node-forge's ASN.1 codec (X.690). Encoding only: what is signed is signed by `node:crypto`, and nothing is ever
 * verified with node-forge. Only what issues certificates imports this file, so that a sidecar does not carry the codec.
 */
import asn1 from 'node-forge/lib/asn1.js';

/** An element that is not yet bytes. */
export type Element = ReturnType<typeof asn1.create>;

export function toDer(element: Element): Buffer {
  return Buffer.from(asn1.toDer(element).getBytes(), 'latin1');
}

/** An element from DER that is already there, such as a public key. */
export function fromDer(der: Buffer): Element {
  return asn1.fromDer(der.toString('latin1'));
}

export function sequence(...elements: readonly Element[]): Element {
  return asn1.create(UNIVERSAL, asn1.Type.SEQUENCE, true, [...elements]);
}

export function set(...elements: readonly Element[]): Element {
  return asn1.create(UNIVERSAL, asn1.Type.SET, true, [...elements]);
}

export function boolean(value: boolean): Element {
  return asn1.create(UNIVERSAL, asn1.Type.BOOLEAN, false, value ? '\u00ff' : '\u0000');
}

/** A number, or the big-endian two's complement of one of any size. */
export function integer(value: number | Buffer): Element {
  const contents = typeof value === 'number' ? asn1.integerToDer(value).getBytes() : value.toString('latin1');
  return asn1.create(UNIVERSAL, asn1.Type.INTEGER, false, contents);
}

export function objectId(dotted: string): Element {
  return asn1.create(UNIVERSAL, asn1.Type.OID, false, asn1.oidToDer(dotted).getBytes());
}

export function octetString(contents: Buffer): Element {
  return asn1.create(UNIVERSAL, asn1.Type.OCTETSTRING, false, contents.toString('latin1'));
}

export function bitString(contents: Buffer, unusedBits = 0): Element {
  return asn1.create(UNIVERSAL, asn1.Type.BITSTRING, false, String.fromCharCode(unusedBits) + contents.toString('latin1'));
}

/** Named bits, bit 0 highest of `width`, trailing zero bits dropped as DER demands. */
export function namedBits(bits: number, width: number): Element {
  let unused = 0;
  while (unused < width && ((bits >> unused) & 1) === 0) unused++;
  const used = width - unused;
  const bytes = Buffer.alloc(Math.ceil(used / 8));
  for (let at = 0; at < used; at++) {
    if (((bits >> (width - 1 - at)) & 1) === 1) bytes[at >> 3] = (bytes[at >> 3] ?? 0) | (0x80 >> (at & 7));
  }
  return bitString(bytes, bytes.length * 8 - used);
}

export function utf8String(text: string): Element {
  return asn1.create(UNIVERSAL, asn1.Type.UTF8, false, Buffer.from(text, 'utf8').toString('latin1'));
}

/** UTCTime up to 2049, GeneralizedTime from then on (RFC 5280, section 4.1.2.5); to the second. */
export function time(timeMs: number): Element {
  const date = new Date(timeMs);
  const digits = `${date
    .toISOString()
    .replaceAll(/[\-:T]/gv, '')
    .slice(0, 14)}Z`;
  const isShort = date.getUTCFullYear() < 2050;
  return asn1.create(
    UNIVERSAL,
    isShort ? asn1.Type.UTCTIME : asn1.Type.GENERALIZEDTIME,
    false,
    isShort ? digits.slice(2) : digits,
  );
}

/** `[number] EXPLICIT` around elements, or an implicitly tagged SEQUENCE of them. */
export function contextOf(number: number, ...elements: readonly Element[]): Element {
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, number, true, [...elements]);
}

/** `[number] IMPLICIT` of a string type. */
export function contextString(number: number, contents: Buffer): Element {
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, number, false, contents.toString('latin1'));
}

const UNIVERSAL = asn1.Class.UNIVERSAL;
