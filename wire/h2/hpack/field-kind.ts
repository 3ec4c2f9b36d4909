/**
 * What is known of a field by its name and value alone: which pseudo-header it is, and whether it may stand in a message at all
 * (RFC 9113, sections 8.2.1 and 8.3). Found once per entry of a table, once per literal otherwise.
 *
 * Hot path.
 */
import { HTAB, SP, TEXT, TOKEN } from '../../h1/characters.ts';
import { equalsName, nameBytes } from '../../h1/field-names.ts';

/** The pseudo-headers by number. */
export const PSEUDO = { none: 0, method: 1, scheme: 2, path: 3, authority: 4, protocol: 5, status: 6, unknown: 7 } as const;

/** Bits of a field's kind; the lowest three are its `PSEUDO`. */
export const KIND = { pseudo: 7, underscore: 8, badName: 16, badValue: 32 } as const;

/** The `KIND` bits of a name: lower-case token, or one of the pseudo-headers. */
export function kindOfName(bytes: Uint8Array, start: number, end: number): number {
  if (start === end) return KIND.badName;
  if (bytes[start] === 58) return pseudoOf(bytes, start, end);
  let seen = 0;
  for (let index = start; index < end; index++) {
    const byte = bytes[index] ?? 0;
    const kind = TOKEN[byte] ?? 0;
    if (kind === 0 || (byte >= 65 && byte <= 90)) return KIND.badName;
    seen |= kind;
  }
  return (seen & 2) === 0 ? 0 : KIND.underscore;
}

/** `KIND.badValue` for a value with bytes that no field may hold, or with blanks around it; else 0. */
export function kindOfValue(bytes: Uint8Array, start: number, end: number): number {
  if (start === end) return 0;
  if (isBlank(bytes[start] ?? 0) || isBlank(bytes[end - 1] ?? 0)) return KIND.badValue;
  let index = start;
  for (const last = end - 3; index < last; index += 4) {
    const first = (TEXT[bytes[index] ?? 0] ?? 0) & (TEXT[bytes[index + 1] ?? 0] ?? 0);
    if ((first & (TEXT[bytes[index + 2] ?? 0] ?? 0) & (TEXT[bytes[index + 3] ?? 0] ?? 0)) === 0) return KIND.badValue;
  }
  for (; index < end; index++) if (TEXT[bytes[index] ?? 0] === 0) return KIND.badValue;
  return 0;
}

/** The pseudo-headers' names by their number. */
export const PSEUDO_NAMES: readonly Uint8Array[] = ['', ':method', ':scheme', ':path', ':authority', ':protocol', ':status'].map(
  nameBytes,
);

function pseudoOf(bytes: Uint8Array, start: number, end: number): number {
  for (let pseudo = PSEUDO.method; pseudo <= PSEUDO.status; pseudo++) {
    const name = PSEUDO_NAMES[pseudo];
    // In upper case it is none of them: a name with capitals is malformed either way.
    if (name !== undefined && equalsName(bytes, start, end, name)) return isLower(bytes, start, end) ? pseudo : PSEUDO.unknown;
  }
  return PSEUDO.unknown;
}

function isLower(bytes: Uint8Array, start: number, end: number): boolean {
  for (let index = start; index < end; index++) {
    const byte = bytes[index] ?? 0;
    if (byte >= 65 && byte <= 90) return false;
  }
  return true;
}

function isBlank(byte: number): boolean {
  return byte === SP || byte === HTAB;
}
