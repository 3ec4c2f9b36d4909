/**
 * One data process, from its first prepared answer to the end of its drain: a sidecar with its identity. Who started it (an operator,
 * a predecessor, a supervisor) is the business of the callers.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '#base/clock.ts';
import { PosternError } from '#base/error.ts';
import type { Log } from '#base/log.ts';
import { FileIdentitySource } from '#certs/source/files.ts';
import type { ProxyConfig } from '#proto/config/proxy.ts';
import type { KeySetNews } from '#proto/key-sets.ts';
import type { PrepareAnswer } from '#proto/prepare.ts';
import { serveAdmin } from './admin/admin-server.ts';
import { serveStatus } from './admin/status-server.ts';
import type { GoodAnswer } from './config/policy-feed.ts';
import { selfTestTap } from './io/tap.ts';
import { metricsText } from './report/metrics.ts';
import { Sidecar } from './sidecar.ts';

export class DataProcess {
  readonly sidecar: Sidecar;
  readonly #config: ProxyConfig;
  readonly #log: Log;
  #identity: FileIdentitySource | null = null;
  #servers: { close(): void }[] = [];

  constructor(answer: GoodAnswer, log: Log) {
    this.#config = answer.config;
    this.#log = log;
    this.sidecar = new Sidecar(answer.config, log);
    this.sidecar.usePolicy(answer);
  }

  /** Serves status and admin, so that the state can be asked for while the rest still waits for identity or policy. */
  async serveStatus(): Promise<void> {
    const { sidecar } = this;
    const { status, admin } = this.#config.telemetry;
    if (status !== null) {
      const source = { notReady: () => sidecar.notReady(), metrics: () => Promise.resolve(metricsText(sidecar.samples())) };
      this.#servers.push(await serveStatus(status, source));
    }
    if (admin !== null) this.#servers.push(await serveAdmin(admin, (url) => Promise.resolve(sidecar.answerAdmin(url))));
  }

  /** Accepts no more probes; those on open connections are still answered. */
  stopStatus(): void {
    for (const server of this.#servers.splice(0)) server.close();
  }

  /** Waits until there is an identity: the files may come later than we do. Returns whether it came before `isEnding`. */
  async openIdentity(isEnding: () => boolean): Promise<boolean> {
    if (!(await selfTestTap())) this.#log.warn('the socket tap does not work on this Node; reading by events, at a higher cost');
    const { sidecar } = this;
    const { trustDomain, files } = this.#config.identity;
    while (!isEnding()) {
      try {
        this.#identity = await FileIdentitySource.open({
          files,
          trustDomain,
          clock: systemClock,
          onChange: (snapshot) =>
            void sidecar
              .useIdentity(snapshot)
              .catch((error: unknown) => this.#log.error({ error: String(error) }, 'rotation failed')),
          onRefused: (fault) => sidecar.identityRefused(fault.code, fault.message),
        });
        await sidecar.useIdentity(this.#identity.snapshot);
        return true;
      } catch (error) {
        if (!(error instanceof PosternError)) throw error;
        sidecar.identityRefused(error.code, error.message);
        await sleep(IDENTITY_RETRY_MS);
      }
    }
    return false;
  }

  /** Waits until every request would be judged by a policy under an identity. Throws with what is missing when it takes too long. */
  async servable(timeoutMs: number): Promise<void> {
    const until = performance.now() + timeoutMs;
    for (let reason = this.sidecar.notServable(); reason !== null; reason = this.sidecar.notServable()) {
      if (performance.now() > until) throw new PosternError('not_servable', `Cannot take over: ${reason}`);
      await sleep(SERVABLE_POLL_MS);
    }
  }

  /** Binds the listeners. */
  async listen(): Promise<void> {
    await this.sidecar.listen();
    const { inbound, outbound } = this.#config;
    this.#log.info({ listeners: inbound.length + outbound.length }, 'ready');
  }

  /** Takes what a fetch of keys brought. */
  useKeys(news: KeySetNews): void {
    this.sidecar.useKeys(news);
  }

  usePolicy(answer: PrepareAnswer): void {
    this.sidecar.usePolicy(answer);
  }

  /** Opens the log files anew and reads the identity again. */
  reload(): void {
    this.sidecar.reopenLogs();
    void this.#identity?.reload();
  }

  /**
   * Lets what is in flight finish, then writes the logs out.
   *
   * @param hasSuccessor  another process accepts from the same sockets
   */
  async drain(cause: string, hasSuccessor: boolean): Promise<void> {
    this.#log.info({ cause, open: this.sidecar.runtime.connections.size }, 'draining');
    await this.sidecar.drain(hasSuccessor);
    this.#identity?.close();
  }
}

const IDENTITY_RETRY_MS = 1_000;
const SERVABLE_POLL_MS = 20;
