/**
 * Where a sidecar's key sets come from: a child fetches them (proxy/key-sets) when the schedule says so, and every data process is told.
 * Without a rule that names a source there is neither a child nor a timer.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { systemClock } from '#base/clock.ts';
import { PosternError } from '#base/error.ts';
import type { Log } from '#base/log.ts';
import type { TokenConfig } from '#proto/config/proxy.ts';
import {
  KEY_SET_FAULTS,
  keySourcesOf,
  type KeySetAnswer,
  type KeySetNews,
  type KeySetRequest,
  type KeySource,
} from '#proto/key-sets.ts';
import type { PrepareAnswer } from '#proto/prepare.ts';
import { AskedChild } from './asked-child.ts';
import { KeySchedule, type FetchedKeys } from './key-schedule.ts';

export class KeyFeed {
  readonly #config: TokenConfig;
  readonly #log: Log;
  readonly #child = new AskedChild<KeySetRequest, KeySetAnswer>({
    module: fetcherModule(),
    // The child has a deadline of its own for each fetch.
    timeoutMs: ANSWER_MS,
    flags: ['--max-opt=2'],
    code: 'key_set',
  });
  readonly #schedule: KeySchedule;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(config: TokenConfig, log: Log, onNews: (news: KeySetNews) => void) {
    this.#config = config;
    this.#log = log;
    this.#schedule = new KeySchedule({
      fetch: (source) => this.#fetch(source),
      nowMs: () => systemClock.nowMs(),
      random: () => Math.random(),
      refreshMs: config.keyRefreshMs,
      onNews: (news, detail) => {
        this.#tell(news, detail);
        onNews(news);
      },
    });
  }

  /** Follows the sources that the rules of a good answer name; after a bad one the former set stays in force, and so do these. */
  follow({ policy, policyState }: Pick<PrepareAnswer, 'policy' | 'policyState'>): void {
    if (this.#isClosed || (policyState !== 'ok' && policyState !== 'allow_all')) return;
    this.#schedule.follow(keySourcesOf(policy?.jwtRules ?? []));
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = this.#schedule.isEmpty ? null : setInterval(() => this.#schedule.look(), LOOK_MS).unref();
  }

  /** A token names a key of the source that nobody knows. */
  want(source: string): void {
    if (!this.#isClosed) this.#schedule.want(source);
  }

  get known(): readonly KeySetNews[] {
    return this.#schedule.known;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#child.close();
  }

  async #fetch(source: KeySource): Promise<FetchedKeys> {
    const { authorities, privateHosts } = this.#config;
    try {
      return await this.#child.ask((id) => ({ id, source, authorities, privateHosts }), `fetch the keys "${source.id}"`);
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      return { keys: null, fault: 'key_set_process', detail: error.message };
    }
  }

  #tell({ fault, fetchedMs, keys, source }: KeySetNews, detail: string): void {
    if (this.#isClosed) return;
    if (fault === null) return this.#log.debug({ source }, 'key set fetched');
    const kept = keys === null ? null : new Date(fetchedMs).toISOString();
    this.#log.error({ source, code: fault, detail, kept }, `key set not fetched: ${KEY_SET_FAULTS[fault]}`);
  }
}

/** In a checkout it runs from its source, in a package from its bundle. */
function fetcherModule(): string {
  const source = fileURLToPath(new URL('../key-sets/main.ts', import.meta.url));
  return existsSync(source) ? source : fileURLToPath(new URL('./key-sets.js', import.meta.url));
}

const LOOK_MS = 500;
/** The longest timeout of a rule, and a little. */
const ANSWER_MS = 3_610_000;
