/** Bytes that texts are cut at. */
export const BLANK = 0x20;
export const QUOTE = 0x22;
export const HASH = 0x23;
export const DOT = 0x2e;
export const SLASH = 0x2f;
export const ZERO = 0x30;
export const COLON = 0x3a;
export const QUESTION = 0x3f;
export const UPPER_A = 0x41;
export const BACKSLASH = 0x5c;
export const LOWER_A = 0x61;
