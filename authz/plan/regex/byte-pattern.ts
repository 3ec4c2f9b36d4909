/**
 * Patterns over bytes as a tree, whatever notation they were written in: what automata are built from. Repetitions are unrolled
 * only when the automaton is built, under its budget.
 */

/** Bytes from `low` to `high`, both included. */
export interface ByteRange {
  readonly low: number;
  readonly high: number;
}

/** A place between two bytes; `word` is `[0-9A-Za-z_]`, as in RE2. */
export type Assertion = 'textStart' | 'textEnd' | 'lineStart' | 'lineEnd' | 'wordBoundary' | 'noWordBoundary';

export type BytePattern =
  /** One byte out of the ranges; none of them: matches nothing. */
  | { readonly kind: 'bytes'; readonly ranges: readonly ByteRange[] }
  /** One after the other; an empty list matches the empty text. */
  | { readonly kind: 'sequence'; readonly of: readonly BytePattern[] }
  | { readonly kind: 'choice'; readonly of: readonly BytePattern[] }
  /** `most` null: without end. */
  | { readonly kind: 'repeat'; readonly of: BytePattern; readonly least: number; readonly most: number | null }
  | { readonly kind: 'assertion'; readonly assertion: Assertion };

/** Text that stands for itself, one character a byte. */
export function literalBytes(text: string): BytePattern {
  return {
    kind: 'sequence',
    of: Array.from(text, (character) => oneByte(character.charCodeAt(0))),
  };
}

export function oneByte(byte: number): BytePattern {
  return { kind: 'bytes', ranges: [{ low: byte, high: byte }] };
}

/** Any run of bytes from 0 to 0xfe; 0xff is in no text, it separates. */
export function runOfBytes(least: 0 | 1): BytePattern {
  return { kind: 'repeat', of: { kind: 'bytes', ranges: [{ low: 0, high: 0xfe }] }, least, most: null };
}
