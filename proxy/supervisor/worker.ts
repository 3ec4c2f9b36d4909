/**
 * A data process under a supervisor: configuration and policies come from it, and so do the listening sockets; it answers for status and
 * admin with what each worker tells. A worker whose supervisor is gone drains and ends.
 */
import { PosternError } from '#base/error.ts';
import type { Log } from '#base/log.ts';
import { DataProcess } from '../data-process.ts';
import { PROTOCOL, type FromWorker, type ToWorker } from './messages.ts';

/** Runs until the supervisor ends it, or is gone. */
export async function runWorker(log: Log): Promise<never> {
  const worker = new Worker(log);
  // They are for the supervisor, which gets them as well when a terminal or an init system sends them to all.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2']) process.on(signal, () => {});
  process.on('message', (message) => worker.told(message as ToWorker)); // our parent, of the same program, sends nothing else
  process.on('disconnect', () => void worker.drain('the supervisor is gone', false));
  await worker.ended;
  process.exit(0);
}

class Worker {
  readonly ended: Promise<void>;
  readonly #log: Log;
  readonly #end: () => void;
  #data: DataProcess | null = null;
  #isEnding = false;
  /** As it was told last. */
  #told: string | null = '';
  #toldMs = 0;
  readonly #wantedMs = new Map<string, number>();

  constructor(log: Log) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#end = resolve;
    this.#log = log;
  }

  told(message: ToWorker): void {
    switch (message.kind) {
      case 'start':
        return this.#start(message);
      case 'policy':
        return this.#data?.usePolicy(message.answer);
      case 'keys':
        return this.#data?.useKeys(message.news);
      case 'reload':
        return this.#data?.reload();
      case 'drain':
        return void this.drain('told by the supervisor', message.hasSuccessor);
      case 'ask': {
        const { id, question } = message;
        const sidecar = this.#data?.sidecar;
        const body = question.what === 'samples' ? sidecar?.samples() : sidecar?.answerAdmin(question.url);
        return send({ kind: 'answer', id, body: body ?? null });
      }
    }
  }

  async drain(cause: string, hasSuccessor: boolean): Promise<void> {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const data = this.#data;
    if (data !== null) {
      await data.drain(cause, hasSuccessor);
      await sent({ kind: 'counted', samples: data.sidecar.samples() });
    }
    this.#end();
  }

  #start(message: ToWorker & { kind: 'start' }): void {
    if (message.protocol !== PROTOCOL) {
      const why = `Cannot work under this supervisor: found protocol ${message.protocol}, wanted ${PROTOCOL}`;
      return this.#refuse(new PosternError('supervisor_version', why, 'restart the sidecar'));
    }
    const data = new DataProcess(message.answer, this.#log);
    if (message.refused !== null) data.usePolicy(message.refused);
    for (const news of message.keys) data.useKeys(news);
    data.sidecar.onKeysWanted = (source) => this.#wantKeys(source);
    this.#data = data;
    setInterval(() => this.#tellState(data), STATE_MS).unref();
    this.#serve(data, message.takesOver).catch((error: unknown) => this.#refuse(error));
  }

  async #serve(data: DataProcess, takesOver: boolean): Promise<void> {
    this.#tellState(data);
    if (!(await data.openIdentity(() => this.#isEnding))) return;
    if (takesOver) await data.servable(SERVABLE_MS);
    if (this.#isEnding) return;
    await data.listen();
    this.#tellState(data);
  }

  /** Told once in a while, however many tokens ask for it. */
  #wantKeys(source: string): void {
    const nowMs = performance.now();
    if (nowMs - (this.#wantedMs.get(source) ?? -Infinity) < KEYS_WANTED_MS) return;
    if (this.#wantedMs.size >= SOURCES_MAX) this.#wantedMs.clear();
    this.#wantedMs.set(source, nowMs);
    send({ kind: 'keys_wanted', source });
  }

  /** What the operator can mend ends this worker; the supervisor says what that means. */
  #refuse(error: unknown): void {
    if (!(error instanceof PosternError)) throw error;
    process.stderr.write(`${error.message}${error.hint === null ? '' : `\n  fix: ${error.hint}`}\n`);
    process.exit(EXIT_BAD_CONFIGURATION);
  }

  #tellState(data: DataProcess): void {
    const notReady = data.sidecar.notReady();
    const nowMs = performance.now();
    if (notReady === this.#told && nowMs - this.#toldMs < SIGN_OF_LIFE_MS) return;
    this.#told = notReady;
    this.#toldMs = nowMs;
    send({ kind: 'state', notReady });
  }
}

function send(message: FromWorker): void {
  // A supervisor that is gone is noticed by its event.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

async function sent(message: FromWorker): Promise<void> {
  if (!process.connected) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  process.send?.(message, undefined, undefined, () => resolve());
  await promise;
}

const EXIT_BAD_CONFIGURATION = 78;
const STATE_MS = 100;
const KEYS_WANTED_MS = 1_000;
/** Policies name no more of them, except over a long life. */
const SOURCES_MAX = 256;
const SIGN_OF_LIFE_MS = 1_000;
/** Longer than it takes to read an identity; the supervisor gives up a little later. */
const SERVABLE_MS = 20_000;
