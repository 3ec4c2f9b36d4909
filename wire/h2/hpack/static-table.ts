/**
 * The static table (RFC 7541, appendix A) in the form in which both sides use it: each entry as a line of HTTP/1.1, ready to be
 * copied, with what is known of its name.
 *
 * Hot path.
 */
import { fieldId } from '../../h1/field-names.ts';
import { kindOfName } from './field-kind.ts';
import { STATIC_FIELDS } from './static-fields.ts';

/** Entries of the table; dynamic ones are numbered behind them. */
export const STATIC_COUNT = 61;

/** All lines, `name: value` with their line ends, one behind the other. */
export const STATIC_BYTES = Buffer.from(STATIC_FIELDS.map(([name, value]) => `${name}: ${value}\r\n`).join(''), 'latin1');

/** By index 1 to 61, like the next four: where the line starts. */
export const STATIC_STARTS = new Int32Array(STATIC_COUNT + 1);
export const STATIC_LENGTHS = new Uint8Array(STATIC_COUNT + 1);
export const STATIC_NAME_LENGTHS = new Uint8Array(STATIC_COUNT + 1);
/** `FIELD` numbers. */
export const STATIC_IDS = new Uint8Array(STATIC_COUNT + 1);
/** `KIND` bits. */
export const STATIC_KINDS = new Uint8Array(STATIC_COUNT + 1);

let at = 0;
STATIC_FIELDS.forEach(([name, value], position) => {
  const index = position + 1;
  STATIC_STARTS[index] = at;
  STATIC_LENGTHS[index] = name.length + value.length + 4;
  STATIC_NAME_LENGTHS[index] = name.length;
  STATIC_IDS[index] = fieldId(STATIC_BYTES, at, at + name.length);
  STATIC_KINDS[index] = kindOfName(STATIC_BYTES, at, at + name.length);
  at += name.length + value.length + 4;
});
