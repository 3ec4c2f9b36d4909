/**
 * What request and response share around the start line: the version, and the bound on a head.
 *
 * Hot path.
 */

import { FAULT } from './faults.ts';

/**
 * Reads `HTTP/1.0` or `HTTP/1.1` at `at`.
 *
 * @returns 1 or 2 for minor version 0 or 1, 0 when `limit` came first, or a negative fault: `version` for a version that is
 *          well written but not served, `start_line` for what is none
 */
export function parseVersion(bytes: Buffer, at: number, limit: number): number {
  const known = limit - at < 8 ? limit - at : 8;
  for (let index = 0; index < known; index++) {
    const byte = bytes[at + index] ?? 0;
    const isDigit = byte >= 48 && byte <= 57;
    if (index === 5 || index === 7 ? !isDigit : byte !== VERSION[index]) return FAULT.startLine;
  }
  if (known < 8) return 0;
  const minor = (bytes[at + 7] ?? 0) - 48;
  if (bytes[at + 5] !== 49 || minor > 1) return FAULT.version;
  return minor + 1;
}

/** What running out of bytes means: 0 for more, or a fault when the head may not grow any more. */
export function incomplete(start: number, end: number, headBytes: number): number {
  return end - start >= headBytes ? FAULT.headTooLarge : 0;
}

const VERSION = Uint8Array.from(Buffer.from('HTTP/1.1', 'latin1'));
