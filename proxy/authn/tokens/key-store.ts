/**
 * The key sets of issuers as one data process knows them. They are fetched elsewhere (proxy/config/key-feed.ts); what is kept here is
 * the last good set of each source that a policy in force names, and when it was fetched. It opens no socket.
 */
import { readKeySet, type KeySet } from '#certs/jwt/key-set.ts';
import type { KeySetFault, KeySetNews, KeySource } from '#proto/key-sets.ts';

/** The keys of one source. One record for as long as the source is followed: rules hold on to it. */
export class KeptKeys {
  readonly source: string;
  /** Null as long as there never was a good set. */
  keys: KeySet | null = null;
  /** Wall clock milliseconds of the fetch that brought `keys`, or confirmed them. */
  fetchedMs = 0;
  /** How the last fetch ended; undefined before one has. */
  fault: KeySetFault | null | undefined = undefined;
  text: string | null = null;
  readonly #want: (source: string) => void;

  constructor(source: string, want: (source: string) => void) {
    this.source = source;
    this.#want = want;
  }

  /** A token names a key that is not among these. Bounded by whoever fetches. */
  want(): void {
    this.#want(this.source);
  }
}

export class KeyStore {
  readonly #kept = new Map<string, KeptKeys>();
  readonly #want: (source: string) => void;

  constructor(want: (source: string) => void) {
    this.#want = want;
  }

  get all(): Iterable<KeptKeys> {
    return this.#kept.values();
  }

  /** Forgets the keys of every other source. */
  follow(sources: readonly KeySource[]): void {
    const ids = new Set(sources.map(({ id }) => id));
    for (const id of this.#kept.keys()) if (!ids.has(id)) this.#kept.delete(id);
    for (const id of ids) if (!this.#kept.has(id)) this.#kept.set(id, new KeptKeys(id, this.#want));
  }

  /** The record of a source that is followed. */
  of(source: string): KeptKeys {
    return this.#kept.get(source) ?? new KeptKeys(source, this.#want);
  }

  /** Takes what a fetch brought. Returns whether the keys are others than before. */
  take({ fault, fetchedMs, keys: text, source }: KeySetNews): boolean {
    const kept = this.#kept.get(source);
    if (kept === undefined) return false;
    kept.fault = fault;
    if (text === null) return false;
    kept.fetchedMs = fetchedMs;
    if (text === kept.text) return false;
    const keys = readKeySet(text);
    // Whoever fetched it has read it already.
    if (keys === null) return false;
    kept.text = text;
    kept.keys = keys;
    return true;
  }

  /** A source that nothing is known of yet, not even that it cannot be reached; null when there is none. */
  get awaited(): string | null {
    for (const { fault, source } of this.#kept.values()) if (fault === undefined) return source;
    return null;
  }
}
