/**
 * Tokens whose signature was proved, by their text. One cache belongs to one plan and one generation of keys, and is left behind with
 * them. Bounded by entries and by characters; the one that was not seen for longest gives way. Hot path.
 */
import type { Token } from '#authz/engine/input.ts';
import type { JwtCode } from '#certs/jwt/codes.ts';
import type { WrittenField } from './found-tokens.ts';

/** What is known of one token. */
export interface TokenProof {
  /** Why each rule refuses it, by the rule's index; null where one takes it, until `expiresMs`. */
  readonly codes: readonly (JwtCode | null)[];
  /** Just the token; empty when no rule takes it. */
  readonly tokens: readonly Token[];
  /** What each rule hands on of it. */
  readonly fields: readonly (readonly WrittenField[])[];
  /** Wall clock milliseconds. */
  readonly expiresMs: number;
}

/** Kept beyond a cache's life. */
export class TokenCounts {
  /** Tokens that were known already. */
  hits = 0;
  /** Tokens that were verified. */
  misses = 0;
}

export class ProofCache {
  readonly #proofs = new Map<string, TokenProof>();
  #characters = 0;

  get(text: string): TokenProof | undefined {
    const proof = this.#proofs.get(text);
    if (proof === undefined || this.#proofs.size < HALF) return proof;
    // In the order of a Map the oldest comes first; while there is room, order is of no use.
    this.#proofs.delete(text);
    this.#proofs.set(text, proof);
    return proof;
  }

  add(text: string, proof: TokenProof): void {
    this.#proofs.set(text, proof);
    this.#characters += text.length;
    for (const oldest of this.#proofs.keys()) {
      if (this.#proofs.size <= ENTRIES_MAX && this.#characters <= CHARACTERS_MAX) break;
      this.forget(oldest);
    }
  }

  forget(text: string): void {
    if (this.#proofs.delete(text)) this.#characters -= text.length;
  }

  get size(): number {
    return this.#proofs.size;
  }
}

const ENTRIES_MAX = 4_096;
const HALF = ENTRIES_MAX / 2;
/** Some 8 MB with the claims. */
const CHARACTERS_MAX = 2 * 1024 * 1024;
