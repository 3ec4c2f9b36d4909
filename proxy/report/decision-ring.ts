/**
 * The last denials with everything that they were made from, so that `postern explain ID` can say why. Bounded: the oldest entry
 * gives way. Holds no header but those that the policy reads, and of tokens what was proved (at most `MAX_TOKENS` of 16 KiB each).
 */
import type { AuthzInput, Decision } from '#authz/engine/input.ts';
import type { Failure } from '../failure.ts';

export interface RecordedDecision {
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly decision: Decision;
  /** What the exchange failed with: `token_refused` has many reasons. */
  readonly reason: Failure;
  readonly input: AuthzInput;
  /** The fields that the policy read, for the input's `fields`. */
  readonly headers: readonly (readonly [string, string])[];
  /** Raw-deflated JSON of the model that decided, shared by all entries of its revision; null when it is no longer kept. */
  readonly model: Uint8Array | null;
}

export class DecisionRing {
  readonly #capacity: number;
  readonly #entries: RecordedDecision[] = [];
  #next = 0;
  /** Models of the newest revisions that denied something. */
  readonly #models: Uint8Array[] = [];

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  add(entry: RecordedDecision): void {
    if (entry.model !== null && !this.#models.includes(entry.model)) this.#keepModel(entry.model);
    if (this.#entries.length < this.#capacity) this.#entries.push(entry);
    else this.#entries[this.#next] = entry;
    this.#next = (this.#next + 1) % this.#capacity;
  }

  find(id: string): RecordedDecision | null {
    return this.#entries.find((entry) => entry.id === id) ?? null;
  }

  /** A policy that is swapped again and again must not fill the memory with its former models. */
  #keepModel(model: Uint8Array): void {
    this.#models.push(model);
    if (this.#models.length <= MODELS_KEPT) return;
    const forgotten = this.#models.shift();
    for (const [index, entry] of this.#entries.entries()) {
      if (entry.model === forgotten) this.#entries[index] = { ...entry, model: null };
    }
  }

  /** Oldest first. */
  recent(): RecordedDecision[] {
    return [...this.#entries.slice(this.#next), ...this.#entries.slice(0, this.#next)].slice(-this.#capacity);
  }
}

const MODELS_KEPT = 8;
