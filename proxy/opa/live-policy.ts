/**
 * The policy of OPA's that is in force, kept up to date: an office (office.ts) hands on what it has proved, an evaluator is started for
 * it, and takes the place of the one before once it can answer; that one answers what it was asked. INVARIANT: while there is no
 * policy every question is denied; one that is refused never takes the place of one in force.
 */
import { existsSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { OpaEvaluator, type EvaluatorAnswer } from '#authz/opa/evaluator.ts';
import { DEFAULT_OPA_LIMITS, type OpaLimits } from '#authz/opa/limits.ts';
import { denied } from '#authz/opa/outcome.ts';
import type { Log } from '#base/log.ts';
import type { OpaAuthorizer } from '#proto/config/authorizers.ts';
import type { Decided, FromOffice, OfficeStart, ProvedPolicy, ToOffice } from './messages.ts';

/** What an evaluation came to, and by what. */
export interface Evaluated {
  readonly answer: EvaluatorAnswer;
  readonly revision: string;
  readonly entrypoint: string;
  readonly evaluationNs: number;
}

/** What it looks like from outside. */
export interface PolicyState {
  /** Null while there is none. */
  readonly revision: string | null;
  /** SHA-256 of the archive in force, in hex. */
  readonly digest: string | null;
  readonly activatedMs: number;
  /** Bundles that were not taken, and what was wrong with the last one since the one in force; '' for nothing. */
  readonly refused: number;
  readonly refusal: string;
  readonly replaced: number;
  readonly eventsDropped: number;
}

interface InForce {
  readonly proved: ProvedPolicy;
  readonly evaluator: OpaEvaluator;
}

export class LivePolicy {
  readonly #start: OfficeStart;
  readonly #log: Log;
  #office: Worker | null = null;
  #inForce: InForce | null = null;
  /** Started, and not able to answer yet. */
  #coming: InForce | null = null;
  #isClosed = false;
  #whenClosed: (() => void) | null = null;
  /** Policies that were put in force so far. */
  generation = 0;
  #restarts = 0;
  #activatedMs = 0;
  #refused = 0;
  #refusal = '';
  #replacedBefore = 0;
  /** Bytes of inputs that the office has not made events of yet. INVARIANT: no more than `EVENTS_MAX`. */
  #eventBytes = 0;
  #eventsDropped = 0;

  constructor(config: OpaAuthorizer, labels: Readonly<Record<string, string>>, isShared: boolean, log: Log) {
    const { fuel, inputBytes, memoryBytes } = config.limits;
    const limits: OpaLimits = {
      ...DEFAULT_OPA_LIMITS,
      fuel,
      memoryBytes,
      inputBytes,
      deadlineMs: config.timeoutMs,
      queue: config.concurrency,
    };
    this.#start = { config, limits, labels, isShared };
    this.#log = log.child({ authorizer: config.name });
    this.#openOffice();
  }

  get isInForce(): boolean {
    return this.#inForce !== null;
  }

  state(): PolicyState {
    return {
      revision: this.#inForce?.proved.revision ?? null,
      digest: this.#inForce?.proved.digest ?? null,
      activatedMs: this.#activatedMs,
      refused: this.#refused,
      refusal: this.#refusal,
      replaced: this.#replacedBefore + (this.#inForce?.evaluator.counts().replaced ?? 0),
      eventsDropped: this.#eventsDropped,
    };
  }

  /** @param input  JSON */
  async evaluate(input: string): Promise<Evaluated> {
    const inForce = this.#inForce;
    if (inForce === null) return { answer: denied('opa_unavailable'), revision: '', entrypoint: '', evaluationNs: 0 };
    const { evaluator, proved } = inForce;
    const { entrypoint, revision } = proved;
    const begunMs = performance.now();
    const answer = await evaluator.decide(entrypoint, input, BigInt(Date.now()) * 1_000_000n);
    return { answer, revision, entrypoint, evaluationNs: Math.round((performance.now() - begunMs) * 1_000_000) };
  }

  /** Has an event written, when there is a log of decisions. */
  tell(decided: Decided): void {
    if (this.#start.config.decisionLog === null) return;
    if (this.#office === null || this.#eventBytes + decided.input.length > EVENTS_MAX) {
      this.#eventsDropped++;
      return;
    }
    this.#eventBytes += decided.input.length;
    this.#say({ type: 'decided', decided });
  }

  reopenLogs(): void {
    this.#say({ type: 'reopen' });
  }

  /** Denies what is still asked, and waits until what was logged is written. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#inForce?.evaluator.close();
    await this.#coming?.evaluator.close();
    const office = this.#office;
    if (office === null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#whenClosed = resolve;
    this.#say({ type: 'close' });
    await Promise.race([promise, sleep(CLOSE_MS, undefined, { ref: false })]);
    await office.terminate();
  }

  #openOffice(): void {
    const office = new Worker(threadModule('./office.ts', './opa-office.js'), {
      workerData: this.#start,
      resourceLimits: { maxOldGenerationSizeMb: OFFICE_HEAP_MB },
      execArgv: [],
      env: {},
    });
    this.#office = office;
    // Traffic, not this thread, keeps the process alive.
    office.unref();
    office.on('message', (message: FromOffice) => this.#hear(message));
    office.on('error', (error) => this.#log.error({ error: String(error) }, 'the thread that reads bundles failed'));
    office.on('exit', () => this.#officeEnded());
  }

  /** What is in force stays; its successor is looked for after a while. */
  #officeEnded(): void {
    this.#office = null;
    this.#eventBytes = 0;
    this.#whenClosed?.();
    if (this.#isClosed) return;
    const pauseMs = Math.min(RESTART_MAX_MS, RESTART_MIN_MS * 2 ** Math.min(10, this.#restarts++));
    setTimeout(() => {
      if (!this.#isClosed) this.#openOffice();
    }, pauseMs).unref();
  }

  #hear(message: FromOffice): void {
    switch (message.type) {
      case 'policy':
        return void this.#prepare(message.proved);
      case 'refused':
        return this.#refuse(message.code, message.message);
      case 'logged':
        this.#eventBytes -= message.bytes;
        return;
      default:
        this.#whenClosed?.();
    }
  }

  async #prepare(proved: ProvedPolicy): Promise<void> {
    this.#restarts = 0;
    const { digest } = proved;
    // An office that was started anew hands on what is in force already.
    if (this.#inForce?.proved.digest === digest) return this.#say({ type: 'activated', digest });
    const workerModule = threadModule('../../authz/opa/worker.ts', './opa-worker.js');
    const evaluator = new OpaEvaluator(proved.policy, { limits: this.#start.limits, workerModule });
    void this.#coming?.evaluator.close();
    const coming: InForce = { proved, evaluator };
    this.#coming = coming;
    const isLoaded = await evaluator.loaded();
    if (this.#coming !== coming || this.#isClosed) return void evaluator.close();
    this.#coming = null;
    if (!isLoaded) return this.#refuse('opa_unavailable', 'the policy cannot be loaded');
    this.#activate(coming);
  }

  #activate(coming: InForce): void {
    const before = this.#inForce;
    this.#inForce = coming;
    this.generation++;
    this.#activatedMs = Date.now();
    this.#refusal = '';
    if (before !== null) {
      this.#replacedBefore += before.evaluator.counts().replaced;
      before.evaluator.retire();
    }
    const { digest, entrypoint, revision } = coming.proved;
    this.#log.info({ revision, entrypoint, digest }, 'bundle in force');
    this.#say({ type: 'activated', digest });
  }

  #refuse(code: string, message: string): void {
    this.#refused++;
    const refusal = `${code} ${message}`;
    // A server that is down is told of once.
    if (refusal === this.#refusal) return;
    this.#refusal = refusal;
    const what = this.isInForce ? 'bundle not taken, the last good one stays in force' : 'bundle not taken, and none is in force';
    this.#log.error({ code, detail: message }, what);
  }

  #say(message: ToOffice): void {
    this.#office?.postMessage(message);
  }
}

/** In a checkout a thread runs from its source, in a package from its bundle. */
function threadModule(source: string, bundled: string): URL {
  const url = new URL(source, import.meta.url);
  return existsSync(url) ? url : new URL(bundled, import.meta.url);
}

const EVENTS_MAX = 16 * 1024 * 1024;
const CLOSE_MS = 2_000;
const OFFICE_HEAP_MB = 1_024;
const RESTART_MIN_MS = 1_000;
const RESTART_MAX_MS = 60_000;
