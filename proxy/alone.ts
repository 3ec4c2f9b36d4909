/**
 * A sidecar of one process. SIGTERM and SIGINT drain and exit 0, SIGHUP reads every file again, SIGUSR2 hands over to a successor
 * (successor.ts).
 */
import { rmSync } from 'node:fs';
import { PosternError } from '#base/error.ts';
import type { Log } from '#base/log.ts';
import { KeyFeed } from './config/key-feed.ts';
import type { GoodAnswer, PolicyFeed } from './config/policy-feed.ts';
import { DataProcess } from './data-process.ts';
import { closeUnclaimed, socketFiles } from './listen/descriptors.ts';
import { isSuccessor, startSuccessor, tellServing } from './successor.ts';

/** Runs until a signal ends it. */
export async function runAlone(feed: PolicyFeed, answer: GoodAnswer, log: Log): Promise<never> {
  const data = new DataProcess(answer, log);
  const takesOver = isSuccessor();
  const keys = new KeyFeed(answer.config.tokens, log, (news) => data.useKeys(news));
  data.sidecar.onKeysWanted = (source) => keys.want(source);
  keys.follow(answer);
  const life = new Life(data, log);
  process.on('SIGHUP', () => {
    data.reload();
    feed.reload();
  });
  // A predecessor answers for both until we serve.
  if (!takesOver) await data.serveStatus();
  const isOpen = data.openIdentity(() => life.isEnding);
  if (!(await Promise.race([takesOver ? within(isOpen, TAKE_OVER_MS) : isOpen, life.ended]))) await leave(feed, keys, life);
  feed.follow(answer, (next) => {
    data.usePolicy(next);
    keys.follow(next);
  });
  if (takesOver) await data.servable(TAKE_OVER_MS);
  if (!life.isEnding) await data.listen();
  if (takesOver) await data.serveStatus();
  closeUnclaimed(log);
  if (takesOver) tellServing();
  life.mayHandOver = true;
  await life.ended;
  return leave(feed, keys, life);
}

/** What signals make of a process: a drain, or a successor and then a drain. */
class Life {
  isEnding = false;
  mayHandOver = false;
  readonly ended: Promise<false>;
  /** Files of Unix sockets that are to go with this process. */
  readonly files: string[] = [];
  readonly #data: DataProcess;
  readonly #log: Log;
  readonly #end: (value: false) => void;

  constructor(data: DataProcess, log: Log) {
    const { promise, resolve } = Promise.withResolvers<false>();
    this.#data = data;
    this.#log = log;
    this.ended = promise;
    this.#end = resolve;
    const onSignal = (signal: NodeJS.Signals): void => {
      // A second signal ends the process at once.
      if (this.isEnding) process.exit(1);
      void this.#drain(signal, false);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
    process.on('SIGUSR2', () => void this.#handOver());
  }

  async #handOver(): Promise<void> {
    if (!this.mayHandOver || this.isEnding) return;
    this.mayHandOver = false;
    try {
      const pid = await startSuccessor();
      if (this.isEnding) return;
      this.#log.info({ successor: pid }, 'handed over');
      this.#data.stopStatus();
      await this.#drain('handed over', true);
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      this.#log.error({ code: error.code, detail: error.message }, 'not handed over, this process goes on');
      this.mayHandOver = true;
    }
  }

  async #drain(cause: string, hasSuccessor: boolean): Promise<void> {
    this.isEnding = true;
    if (!hasSuccessor) this.files.push(...socketFiles());
    await this.#data.drain(cause, hasSuccessor);
    this.#end(false);
  }
}

async function leave(feed: PolicyFeed, keys: KeyFeed, life: Life): Promise<never> {
  await life.ended;
  await Promise.all([feed.close(), keys.close()]);
  // Status and admin have answered until now.
  for (const file of life.files) rmSync(file, { force: true });
  process.exit(0);
}

async function within(promise: Promise<boolean>, timeoutMs: number): Promise<boolean> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new PosternError('not_servable', 'Cannot take over: found no identity')), timeoutMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A successor that has no identity and no policy after this gives up. */
const TAKE_OVER_MS = 20_000;
