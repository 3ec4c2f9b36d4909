/** Where a shell keeps what it works with: behind the scratch area of the evaluator. */
import { SCRATCH_BYTES } from '../memory-map.ts';

export interface ShellAddresses {
  readonly scratch: number;
  /** Starts of the segments of an identity, and where the last one ends. */
  readonly segments: number;
  /** A text without its escapes; as long as the scratch area. */
  readonly text: number;
  /** The first byte that nobody owns. */
  readonly heap: number;
}

export function shellAddresses(scratchStart: number): ShellAddresses {
  const segments = (scratchStart + SCRATCH_BYTES + 64 + 7) & ~7;
  const text = segments + SEGMENT_BYTES;
  return { scratch: scratchStart, segments, text, heap: text + SCRATCH_BYTES + 64 };
}

/** Bytes that an identity may have, and slashes in it, its scheme included (authz/engine/identity.ts). */
export const MAX_IDENTITY_BYTES = 2048;
export const MAX_IDENTITY_SLASHES = 24;
const SEGMENT_BYTES = 4 * (MAX_IDENTITY_SLASHES + 8);
