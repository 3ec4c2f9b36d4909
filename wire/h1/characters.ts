/**
 * Classes of bytes as HTTP/1.1 uses them (RFC 9110, section 5.6.2; RFC 9112; RFC 3986), as tables for the parsers' inner loops.
 *
 * Hot path.
 */

/** 1 for a `tchar`, 3 for the underscore, which is one too but is watched for; else 0. */
export const TOKEN = new Uint8Array(256);

/** 1 for what may stand in a field value or reason phrase: HTAB, SP, VCHAR and obs-text. */
export const TEXT = new Uint8Array(256);

/** 1 for what may stand in a request target before anyone looks at its form: VCHAR. */
export const TARGET = new Uint8Array(256);

/** 1 for what may stand in a quoted string without a backslash before it. */
export const QUOTED = new Uint8Array(256);

/** Every byte as it is, but `A` to `Z` in lower case. */
export const LOWER = new Uint8Array(256);

/** The value of a hex digit, 255 for any other byte. */
export const HEX = new Uint8Array(256).fill(255);

export const HTAB = 9;
export const LF = 10;
export const CR = 13;
export const SP = 32;
export const QUOTE = 34;
export const COMMA = 44;
export const COLON = 58;
export const SEMICOLON = 59;
export const EQUALS = 61;
export const BACKSLASH = 92;

const UNDERSCORE = 95;

for (let byte = 0; byte < 256; byte++) {
  const isText = byte === HTAB || (byte >= SP && byte !== 127);
  TEXT[byte] = isText ? 1 : 0;
  QUOTED[byte] = isText && byte !== QUOTE && byte !== BACKSLASH ? 1 : 0;
  TARGET[byte] = byte > SP && byte < 127 ? 1 : 0;
  LOWER[byte] = byte >= 65 && byte <= 90 ? byte + 32 : byte;
}
for (const tchar of "!#$%&'*+-.^`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
  TOKEN[tchar.charCodeAt(0)] = 1;
}
TOKEN[UNDERSCORE] = 3;
for (let digit = 0; digit < 16; digit++) {
  const text = digit.toString(16);
  HEX[text.charCodeAt(0)] = digit;
  HEX[text.toUpperCase().charCodeAt(0)] = digit;
}
