/** The status port and the admin socket of a sidecar with several workers: answered by the supervisor, which asks them. */
import { rmSync } from 'node:fs';
import type { Server } from 'node:http';
import type { ProxyConfig } from '#proto/config/proxy.ts';
import { serveAdmin } from '../admin/admin-server.ts';
import { serveStatus } from '../admin/status-server.ts';
import { metricsText } from '../report/metrics.ts';
import type { Fleet } from './fleet.ts';

export class StatusOfAll {
  readonly #fleet: Fleet;
  readonly #notReady: () => string | null;
  #served: ProxyConfig['telemetry'] | null = null;
  #config: ProxyConfig | null = null;
  #status: Server | null = null;
  #admin: Server | null = null;

  constructor(fleet: Fleet, notReady: () => string | null) {
    this.#fleet = fleet;
    this.#notReady = notReady;
  }

  /** Serves where `config` says; what is served there already goes on. */
  async serve(config: ProxyConfig): Promise<void> {
    const { status, admin } = config.telemetry;
    this.#config = config;
    if (JSON.stringify(status) !== JSON.stringify(this.#served?.status ?? null)) {
      this.#status?.close();
      const source = { notReady: this.#notReady, metrics: async () => metricsText(await this.#fleet.samples()) };
      this.#status = status === null ? null : await serveStatus(status, source);
    }
    if (admin !== (this.#served?.admin ?? null)) {
      this.#admin?.close();
      this.#admin = admin === null ? null : await serveAdmin(admin, (url) => this.#answer(url));
    }
    this.#served = config.telemetry;
  }

  /** @param files  of Unix sockets, which go with them */
  close(files: readonly string[]): void {
    this.#status?.close();
    this.#admin?.close();
    for (const file of files) rmSync(file, { force: true });
  }

  #answer(url: string): Promise<unknown> {
    if (url === '/ready') return Promise.resolve({ reason: this.#notReady() });
    return url === '/config' ? Promise.resolve(this.#config) : this.#fleet.answer(url);
  }
}
