/**
 * Makes request ids: random UUIDs (RFC 9562, version 4) from a pool of random bytes, as flat text. `randomUUID` joins its text
 * from pieces, which whoever reads it first has to flatten. Hot path.
 */
import { randomFillSync } from 'node:crypto';

export function newRequestId(): string {
  if (used === POOL.length) {
    randomFillSync(POOL);
    used = 0;
  }
  let end = 0;
  for (let i = 0; i < BYTES; i++) {
    let byte = POOL[used + i] ?? 0;
    if (i === 6) byte = (byte & 0x0f) | 0x40;
    else if (i === 8) byte = (byte & 0x3f) | 0x80;
    if (end === 8 || end === 13 || end === 18 || end === 23) end++;
    TEXT[end++] = HEX[byte >> 4] ?? 0;
    TEXT[end++] = HEX[byte & 15] ?? 0;
  }
  used += BYTES;
  return TEXT.toString('latin1');
}

const BYTES = 16;
/** Random bytes for 256 ids; filling them once costs about as much as one call for a single id. */
const POOL = new Uint8Array(BYTES * 256);
let used = POOL.length;
/** The hyphens stay, the rest is written anew. */
const TEXT = Buffer.from('00000000-0000-0000-0000-000000000000', 'latin1');
const HEX = Uint8Array.from(Buffer.from('0123456789abcdef', 'latin1'));
