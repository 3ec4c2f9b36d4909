/**
 * The thread beside the data path's loop that does the paperwork of one policy of OPA's: bundles are fetched, read, verified and loaded
 * here for a proof, decision log events and status documents are made and written here. It decides nothing.
 */
import { parentPort, workerData } from 'node:worker_threads';

import { decisionEvent, statusDocument } from '#authz/opa/decision-log.ts';
import { LineSink } from '../report/line-sink.ts';
import { BundleFeed } from './bundle-feed.ts';
import type { Decided, FromOffice, OfficeStart, ProvedPolicy, ToOffice } from './messages.ts';
import { proveBundle } from './prove-bundle.ts';

class Office {
  readonly #start: OfficeStart;
  readonly #decisions: LineSink | null;
  readonly #states: LineSink | null;
  readonly #feed: BundleFeed;
  /** Handed on, and not in force yet. */
  #handed: ProvedPolicy | null = null;
  #active: ProvedPolicy | null = null;
  #activatedMs: number | null = null;

  constructor(start: OfficeStart) {
    const { config, isShared, limits } = start;
    this.#start = start;
    this.#decisions = config.decisionLog === null ? null : new LineSink(config.decisionLog, isShared);
    this.#states = config.statusLog === null ? null : new LineSink(config.statusLog, isShared);
    this.#feed = new BundleFeed({
      prove: (archive) => proveBundle(archive, config, limits, Date.now()),
      onPolicy: (proved) => {
        this.#handed = proved;
        say({ type: 'policy', proved });
      },
      onRefused: ({ code, message }) => {
        say({ type: 'refused', code, message });
        this.#tellStatus();
      },
    });
  }

  open(): void {
    const { source } = this.#start.config;
    if ('file' in source) this.#feed.followFile(source);
    else void this.#feed.followServer(source);
  }

  hear(message: ToOffice): void {
    switch (message.type) {
      case 'decided':
        return this.#decided(message.decided);
      case 'activated':
        return this.#activated(message.digest);
      case 'reopen':
        this.#decisions?.reopen();
        return this.#states?.reopen();
      default:
        return void this.#close();
    }
  }

  #decided(decided: Decided): void {
    const { config, labels } = this.#start;
    const { entrypoint, revision, spanId, traceId, ...rest } = decided;
    const event = decisionEvent({
      ...rest,
      labels,
      ...(traceId === '' ? {} : { traceId, spanId }),
      bundle: { name: config.name, revision },
      path: entrypoint,
      erase: config.erase,
    });
    this.#decisions?.push(`${event}\n`);
    say({ type: 'logged', bytes: decided.input.length });
  }

  #activated(digest: string): void {
    if (this.#handed?.digest !== digest) return;
    this.#active = this.#handed;
    this.#activatedMs = Date.now();
    this.#tellStatus();
  }

  #tellStatus(): void {
    if (this.#states === null) return;
    const status = {
      name: this.#start.config.name,
      activeRevision: this.#active?.revision ?? null,
      size: this.#active?.size ?? 0,
      type: 'snapshot',
      lastSuccessfulActivationMs: this.#activatedMs,
      ...this.#feed.status,
    } as const;
    this.#states.push(`${statusDocument(this.#start.labels, [status])}\n`);
  }

  async #close(): Promise<void> {
    await Promise.all([this.#decisions?.close(CLOSE_MS), this.#states?.close(CLOSE_MS)]);
    say({ type: 'closed' });
  }
}

function say(message: FromOffice): void {
  parentPort?.postMessage(message);
}

const CLOSE_MS = 1_500;

// The thread is started with nothing else (live-policy.ts).
const office = new Office(workerData as OfficeStart);
parentPort?.on('message', (message: ToOffice) => office.hear(message));
office.open();
