/**
 * When the key sets of issuers are fetched: at once, then from time to time, sooner after a failure, and once when a token names a key
 * that nobody knows. Each source by itself, never twice at a time; the last good set stays known until another comes. The clock, the
 * chance and the fetching come from outside.
 */
import type { KeySetFault, KeySetNews, KeySource } from '#proto/key-sets.ts';

export interface KeyScheduleOptions {
  readonly fetch: (source: KeySource) => Promise<FetchedKeys>;
  /** Wall clock milliseconds. */
  readonly nowMs: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly refreshMs: number;
  /** Called after each fetch. */
  readonly onNews: (news: KeySetNews, detail: string) => void;
}

export interface FetchedKeys {
  /** Null when `fault` says why there are none. */
  readonly keys: string | null;
  readonly fault: KeySetFault | null;
  readonly detail: string;
}

interface Followed {
  source: KeySource;
  keys: string | null;
  fetchedMs: number;
  fault: KeySetFault | null;
  hasAnswer: boolean;
  isFetching: boolean;
  nextMs: number;
  failures: number;
  /** When an unknown key last led to a fetch. */
  askedMs: number;
}

export class KeySchedule {
  readonly #options: KeyScheduleOptions;
  /** As many as policies in force name. */
  readonly #followed = new Map<string, Followed>();

  constructor(options: KeyScheduleOptions) {
    this.#options = options;
  }

  /** Follows these and no others; what is known of those that stay is kept. */
  follow(sources: readonly KeySource[]): void {
    const ids = new Set(sources.map(({ id }) => id));
    for (const id of this.#followed.keys()) if (!ids.has(id)) this.#followed.delete(id);
    for (const source of sources) {
      const known = this.#followed.get(source.id);
      if (known !== undefined) known.source = source;
      else this.#followed.set(source.id, followed(source));
    }
    this.look();
  }

  /** Starts the fetches that are due. To be called every now and then. */
  look(): void {
    const nowMs = this.#options.nowMs();
    for (const each of this.#followed.values()) {
      if (!each.isFetching && each.nextMs <= nowMs) void this.#fetch(each);
    }
  }

  /** A token names a key that the source's set does not have: whatever their number, one fetch at once and one each `ASK_PAUSE_MS`. */
  want(id: string): void {
    const each = this.#followed.get(id);
    if (each === undefined) return;
    const nowMs = this.#options.nowMs();
    const dueMs = Math.max(nowMs, each.askedMs + ASK_PAUSE_MS);
    if (each.isFetching || each.nextMs <= dueMs) return;
    each.askedMs = dueMs;
    each.nextMs = dueMs;
    this.look();
  }

  /** What is known by now, for a process that begins. */
  get known(): readonly KeySetNews[] {
    return [...this.#followed.values()].filter(({ hasAnswer }) => hasAnswer).map(newsOf);
  }

  get isEmpty(): boolean {
    return this.#followed.size === 0;
  }

  async #fetch(each: Followed): Promise<void> {
    const { fetch, nowMs, onNews, random, refreshMs } = this.#options;
    each.isFetching = true;
    const startedMs = nowMs();
    const { detail, fault, keys } = await fetch(each.source);
    each.isFetching = false;
    each.hasAnswer = true;
    each.fault = fault;
    if (keys === null) {
      each.failures++;
      const pauseMs = Math.min(FAILURE_MAX_MS, refreshMs, FAILURE_MIN_MS * 2 ** Math.min(20, each.failures - 1));
      each.nextMs = nowMs() + pauseMs * (0.75 + 0.25 * random());
    } else {
      each.keys = keys;
      // It may have been made at any time since it was asked for.
      each.fetchedMs = startedMs;
      each.failures = 0;
      each.nextMs = nowMs() + refreshMs * (0.9 + 0.1 * random());
    }
    // Meanwhile nobody may care any more.
    if (this.#followed.get(each.source.id) === each) onNews(newsOf(each), detail);
  }
}

function followed(source: KeySource): Followed {
  return {
    source,
    keys: null,
    fetchedMs: 0,
    fault: null,
    hasAnswer: false,
    isFetching: false,
    nextMs: 0,
    failures: 0,
    askedMs: -Infinity,
  };
}

function newsOf({ fault, fetchedMs, keys, source }: Followed): KeySetNews {
  return { source: source.id, keys, fetchedMs, fault };
}

/** Between two fetches for keys that nobody knows. */
const ASK_PAUSE_MS = 30_000;
const FAILURE_MIN_MS = 1_000;
const FAILURE_MAX_MS = 30_000;
