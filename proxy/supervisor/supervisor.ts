/**
 * The supervisor of several data processes: holds their listening sockets, gives each configuration and policies, starts another when
 * one dies, replaces them one by one (SIGUSR2), and answers for all on the status port and the admin socket. It handles no traffic, no
 * key and no policy. SIGTERM and SIGINT drain and exit 0, SIGHUP reads every file again.
 */
import { PosternError } from '#base/error.ts';
import type { Log } from '#base/log.ts';
import type { ProxyConfig } from '#proto/config/proxy.ts';
import type { PrepareAnswer } from '#proto/prepare.ts';
import { KeyFeed } from '../config/key-feed.ts';
import type { GoodAnswer, PolicyFeed } from '../config/policy-feed.ts';
import { closeUnclaimed, socketFiles } from '../listen/descriptors.ts';
import { isSuccessor, tellServing } from '../successor.ts';
import { Fleet } from './fleet.ts';
import { PROTOCOL, type ToWorker } from './messages.ts';
import { Slot } from './slot.ts';
import { Sockets } from './sockets.ts';
import { StatusOfAll } from './status-of-all.ts';
import type { WorkerExit, WorkerProcess } from './worker-process.ts';

export class Supervisor {
  readonly #feed: PolicyFeed;
  readonly #log: Log;
  readonly #sockets = new Sockets();
  readonly #fleet = new Fleet();
  readonly #status: StatusOfAll;
  #slots: Slot[] = [];
  /** The last good set; what a new worker starts with. */
  #good: GoodAnswer | null = null;
  #refused: PrepareAnswer | null = null;
  #keys: KeyFeed | null = null;
  #isEnding = false;
  #isUpgrading = false;

  constructor(feed: PolicyFeed, log: Log) {
    this.#feed = feed;
    this.#log = log;
    this.#status = new StatusOfAll(this.#fleet, () => this.#notReady());
  }

  /** Runs until a signal ends it. */
  async run(answer: GoodAnswer): Promise<never> {
    this.#good = answer;
    this.#followKeys(answer);
    await this.#sockets.bind(answer.config);
    const takesOver = isSuccessor();
    if (!takesOver) await this.#status.serve(answer.config);
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    this.#onSignals(end);
    this.#feed.follow(answer, (next) => this.#usePolicy(next));
    for (let worker = 0; worker < answer.config.concurrency; worker++) this.#slots.push(this.#slot(worker));
    if (takesOver) {
      await Promise.all(this.#slots.map((slot) => slot.replace(READY_MS)));
      await this.#status.serve(answer.config);
      tellServing();
    } else {
      for (const slot of this.#slots) slot.start();
    }
    closeUnclaimed(this.#log);
    this.#log.info({ workers: this.#slots.length }, 'supervising');
    await ended;
    process.exit();
  }

  /** The configuration says how they are fetched, and so do those of an upgrade. */
  #followKeys(answer: GoodAnswer): void {
    void this.#keys?.close();
    this.#keys = new KeyFeed(answer.config.tokens, this.#log, (news) => this.#fleet.tell({ kind: 'keys', news }));
    this.#keys.follow(answer);
  }

  #slot(worker: number): Slot {
    return new Slot({
      worker,
      sockets: this.#sockets,
      log: this.#log,
      start: (takesOver) => this.#start(takesOver),
      onStarted: (started) => {
        started.onKeysWanted = (source) => this.#keys?.want(source);
        this.#fleet.add(started);
      },
      onCrash: (exit, isFirst) => this.#crashed(exit, isFirst),
    });
  }

  #start(takesOver: boolean): ToWorker {
    if (this.#good === null) throw new PosternError('internal', 'Cannot start a worker: found no configuration');
    return {
      kind: 'start',
      protocol: PROTOCOL,
      answer: this.#good,
      refused: this.#refused,
      keys: this.#keys?.known ?? [],
      takesOver,
    };
  }

  /** What a worker can't start with, none can. */
  #crashed({ code }: WorkerExit, isFirst: boolean): void {
    this.#fleet.restarts++;
    if (code !== EXIT_BAD_CONFIGURATION || !isFirst || this.#isEnding) return;
    for (const slot of this.#slots) slot.end()?.kill();
    process.exit(EXIT_BAD_CONFIGURATION);
  }

  #usePolicy(answer: PrepareAnswer): void {
    const isGood = answer.policyState === 'ok' || answer.policyState === 'allow_all';
    // The listeners are those of the configuration that the workers were started with.
    if (isGood && this.#good !== null) this.#good = { ...answer, config: this.#good.config };
    this.#refused = isGood ? null : answer;
    this.#keys?.follow(answer);
    this.#fleet.tell({ kind: 'policy', answer });
  }

  #notReady(): string | null {
    if (this.#isEnding) return 'draining';
    for (const { notReady } of this.#slots) if (notReady !== null) return notReady;
    return this.#slots.length === 0 ? 'starting' : null;
  }

  #onSignals(end: () => void): void {
    const stop = (signal: NodeJS.Signals): void => {
      // A second signal ends all at once.
      if (this.#isEnding) {
        this.#fleet.kill();
        process.exit(1);
      }
      void this.#stop(signal).then(end);
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    process.on('SIGHUP', () => {
      this.#fleet.tell({ kind: 'reload' });
      this.#feed.reload();
    });
    process.on('SIGUSR2', () => void this.#upgrade());
  }

  async #stop(signal: NodeJS.Signals): Promise<void> {
    this.#isEnding = true;
    this.#log.info({ cause: signal }, 'draining');
    for (const slot of this.#slots) slot.end();
    // First ours: a queue that a worker has emptied and closed must not fill again because we hold it open.
    this.#sockets.release();
    await this.#fleet.drain(this.#drainMs());
    this.#sockets.removeFiles();
    await Promise.all([this.#feed.close(), this.#keys?.close()]);
    this.#status.close(socketFiles());
  }

  /** Replaces the workers one by one, by the program and the configuration as they are on disk now. */
  async #upgrade(): Promise<void> {
    if (this.#isEnding || this.#isUpgrading) return;
    this.#isUpgrading = true;
    const former = this.#good;
    try {
      const answer = await this.#feed.prepare();
      this.#log.info({ workers: answer.config.concurrency }, 'replacing the workers');
      await this.#sockets.bind(answer.config);
      this.#good = answer;
      this.#refused = null;
      this.#followKeys(answer);
      await this.#replaceAll(answer.config);
      this.#feed.follow(answer, (next) => this.#usePolicy(next));
      this.#sockets.releaseAllBut(answer.config);
      await this.#status.serve(answer.config);
      this.#log.info('all workers are replaced');
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      // A worker that dies is followed by one of the former kind.
      this.#good = former;
      if (former !== null) this.#followKeys(former);
      this.#log.error({ code: error.code, detail: error.message }, 'not upgraded, the former workers go on');
    } finally {
      this.#isUpgrading = false;
    }
  }

  async #replaceAll(config: ProxyConfig): Promise<void> {
    for (let worker = 0; worker < config.concurrency && !this.#isEnding; worker++) {
      const existing = this.#slots[worker];
      const slot = existing ?? this.#slot(worker);
      const former = await slot.replace(READY_MS);
      if (existing === undefined) this.#slots.push(slot);
      this.#letGo(former, true);
    }
    for (const slot of this.#slots.splice(config.concurrency)) {
      this.#sockets.releaseWorker(slot.worker);
      this.#letGo(slot.end(), false);
    }
  }

  #letGo(former: WorkerProcess | null, hasSuccessor: boolean): void {
    void former?.drain(hasSuccessor, this.#drainMs());
  }

  /** A worker ends what is left after its drain time; one that has not gone soon after that never will. */
  #drainMs(): number {
    return (this.#good?.config.timeouts.drainMs ?? 0) + DRAIN_GRACE_MS;
  }
}

const EXIT_BAD_CONFIGURATION = 78;
/** A worker gives up earlier by itself, with a reason. */
const READY_MS = 30_000;
const DRAIN_GRACE_MS = 5_000;
