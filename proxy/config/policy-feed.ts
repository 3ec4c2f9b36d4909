/**
 * Where a sidecar's configuration and policies come from: the file, read by the preparer at the start and again whenever something that
 * it was made from has changed. One preparation at a time.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { LoadedBundle } from '#authz/bundle/read.ts';
import { PosternError } from '#base/error.ts';
import type { Log } from '#base/log.ts';
import type { ProxyConfig } from '#proto/config/proxy.ts';
import { formatFault } from '#proto/fault-text.ts';
import type { PrepareAnswer } from '#proto/prepare.ts';
import { changedSince, ConfigWatch } from './config-watch.ts';
import { Preparer } from './preparer.ts';

/** An answer whose file is in order. */
export type GoodAnswer = PrepareAnswer & { readonly config: ProxyConfig };

export class PolicyFeed {
  readonly #file: string;
  readonly #concurrency: number | null;
  readonly #log: Log;
  readonly #preparer = new Preparer(preparerModule());
  #watch: ConfigWatch | null = null;
  #running = '';
  #watched: readonly string[] = [];
  /** When the last preparation began, by the system's clock. */
  #askedMs = 0;
  /** That of the highest revision that was told so far. */
  #lastBundle: LoadedBundle | null = null;
  #onAnswer: (answer: PrepareAnswer) => void = () => {};
  #isPreparing = false;
  #isStale = false;
  #boundary: NodeJS.Timeout | null = null;

  /**
   * @param file  of kind Proxy, absolute
   * @param concurrency  in place of what it says, or null
   */
  constructor(file: string, concurrency: number | null, log: Log) {
    this.#file = file;
    this.#concurrency = concurrency;
    this.#log = log;
  }

  /** Prepares now; the policies may be at fault, the file may not. Throws `PosternError` with the place of each fault. */
  async prepare(): Promise<GoodAnswer> {
    const answer = await this.#ask();
    const { config } = answer;
    if (config === null) {
      throw new PosternError('bad_configuration', answer.configFaults.map(formatFault).join('\n'));
    }
    return { ...answer, config: this.#told(config) };
  }

  /** Tells every later answer. `first` is the one in force, whose files are watched. */
  follow(first: GoodAnswer, onAnswer: (answer: PrepareAnswer) => void): void {
    this.#running = comparable(first.config);
    this.#onAnswer = onAnswer;
    this.#observe(first.config, first.watched);
    this.#awaitBoundary(first.policyValidUntilMs);
    // An identity may have been waited for meanwhile.
    if (changedSince(this.#watched, this.#askedMs)) this.reload();
  }

  /** Prepares anew, now or after the preparation under way. */
  reload(): void {
    if (this.#watch === null) return;
    if (this.#isPreparing) {
      this.#isStale = true;
      return;
    }
    this.#isPreparing = true;
    this.#ask()
      .then((answer) => this.#answered(answer))
      .catch((error: unknown) => this.#log.error({ error: String(error) }, 'policies not read, the last good set stays in force'))
      .finally(() => {
        this.#isPreparing = false;
        if (!this.#isStale) return;
        this.#isStale = false;
        this.reload();
      });
  }

  /** Stops watching and waits for the end of the preparer. */
  async close(): Promise<void> {
    this.#watch?.close();
    this.#watch = null;
    this.#awaitBoundary(null);
    await this.#preparer.close();
  }

  #told(config: ProxyConfig): ProxyConfig {
    return this.#concurrency === null ? config : { ...config, concurrency: this.#concurrency };
  }

  #answered(answer: PrepareAnswer): void {
    if (this.#watch === null) return;
    if (answer.config !== null && comparable(this.#told(answer.config)) !== this.#running) {
      this.#log.warn(
        'the configuration file changed; listeners, identity and telemetry take effect at the next start or upgrade',
      );
    }
    // INVARIANT: what is newly watched is read again. It may have changed after it was read and before it was watched.
    if (answer.config !== null && this.#observe(answer.config, answer.watched)) this.#isStale = true;
    this.#awaitBoundary(answer.policyValidUntilMs);
    this.#onAnswer(answer);
  }

  async #ask(): Promise<PrepareAnswer> {
    this.#askedMs = Date.now();
    const answer = await this.#preparer.prepare(this.#file, this.#lastBundle);
    const { bundle } = answer;
    if (bundle !== null && bundle.revision >= (this.#lastBundle?.revision ?? 0)) {
      this.#lastBundle = { revision: bundle.revision, digest: bundle.digest };
    }
    return answer;
  }

  /** Looks for changes of what an answer was made from; returns whether that is other than it was. */
  #observe({ policies }: ProxyConfig, paths: readonly string[]): boolean {
    const watched = [...new Set([this.#file, ...policies.files, ...paths])];
    if (this.#watch !== null && JSON.stringify(watched) === JSON.stringify(this.#watched)) return false;
    this.#watched = watched;
    this.#watch?.close();
    this.#watch = new ConfigWatch({ paths: watched, pollMs: POLL_MS, onChange: () => this.reload() });
    return true;
  }

  /** Policies that begin, expire or follow a schedule: prepares anew when they do. Looks often, because the clock may be set. */
  #awaitBoundary(validUntilMs: number | null): void {
    if (this.#boundary !== null) clearTimeout(this.#boundary);
    this.#boundary = null;
    if (validUntilMs === null) return;
    const leftMs = validUntilMs - Date.now();
    const waitMs = Math.min(Math.max(leftMs, 0), BOUNDARY_LOOK_MS);
    this.#boundary = setTimeout(() => {
      if (Date.now() >= validUntilMs) this.reload();
      else this.#awaitBoundary(validUntilMs);
    }, waitMs).unref();
  }
}

/** The part of a configuration that a running sidecar does not take over. */
function comparable(config: ProxyConfig): string {
  return JSON.stringify({ ...config, policies: null });
}

/** In a checkout the preparer runs from its source, in a package from its bundle. */
function preparerModule(): string {
  const source = fileURLToPath(new URL('../../cli/prepare/main.ts', import.meta.url));
  return existsSync(source) ? source : fileURLToPath(new URL('./prepare.js', import.meta.url));
}

const POLL_MS = 2_000;
const BOUNDARY_LOOK_MS = 30_000;
