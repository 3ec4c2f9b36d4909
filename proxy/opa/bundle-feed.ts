/**
 * Where the bundles of one policy come from: a file that is watched, or a server that is asked again and again. What is refused
 * changes nothing, and is looked at again when there is something new. INVARIANT: only what `prove` has found good is handed on.
 */
import { readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import type { BundleStatus } from '#authz/opa/decision-log.ts';
import { DEFAULT_BUNDLE_LIMITS } from '#authz/opa/limits.ts';
import { PosternError } from '#base/error.ts';
import type { OpaBundleFile, OpaBundleServer } from '#proto/config/authorizers.ts';
import { ConfigWatch } from '../config/config-watch.ts';
import { BundleDownload } from './bundle-download.ts';
import type { ProvedPolicy } from './messages.ts';
import { readNamed } from './prove-bundle.ts';

/** What is known of a bundle, its name and activation apart. */
export type FeedStatus = Pick<BundleStatus, 'lastRequestMs' | 'lastSuccessfulRequestMs' | 'lastSuccessfulDownloadMs' | 'error'>;

export interface FeedOptions {
  /** Throws `PosternError` to refuse an archive. */
  readonly prove: (archive: Uint8Array) => ProvedPolicy;
  readonly onPolicy: (proved: ProvedPolicy) => void;
  readonly onRefused: (error: PosternError) => void;
}

export class BundleFeed {
  readonly #options: FeedOptions;
  /** Of what was handed on last; the same archive is not handed on twice. */
  #digest = '';
  /** What the download's last archive was proved to be. */
  #found: ProvedPolicy | null = null;
  #status: FeedStatus = { lastRequestMs: null, lastSuccessfulRequestMs: null, lastSuccessfulDownloadMs: null, error: null };

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  get status(): FeedStatus {
    return this.#status;
  }

  followFile({ file }: OpaBundleFile): void {
    const look = (): void => {
      this.#note({ lastRequestMs: Date.now() });
      this.#attempt(() => {
        const archive = readArchive(file);
        this.#note({ lastSuccessfulRequestMs: Date.now() });
        return this.#options.prove(archive);
      });
    };
    const watch = new ConfigWatch({ paths: [file], pollMs: POLL_MS, onChange: look });
    // It lives as long as its thread.
    void watch;
    look();
  }

  async followServer(source: OpaBundleServer): Promise<never> {
    let said = '';
    let download: BundleDownload | null = null;
    for (;;) {
      try {
        const secrets = secretsOf(source);
        const now = JSON.stringify(secrets);
        if (download === null || now !== said) {
          await download?.close();
          said = now;
          download = this.#download(source, secrets);
          if (download.restore() !== null) this.#tell(this.#found);
        }
        this.#note({ lastRequestMs: Date.now() });
        const fetched = await download.fetch(AbortSignal.timeout(WHOLE_MS + source.longPollSeconds * 1000));
        this.#note({ lastSuccessfulRequestMs: Date.now(), error: null });
        if (fetched.kind === 'new') this.#tell(this.#found);
      } catch (error) {
        this.#refused(error);
      }
      await sleep(download === null ? source.intervalMs : download.pauseMs(Math.random, source.intervalMs));
    }
  }

  #download(source: OpaBundleServer, secrets: Secrets): BundleDownload {
    const { cache, longPollSeconds, url } = source;
    return new BundleDownload(
      {
        url,
        ...secrets,
        file: cache,
        maxBytes: DEFAULT_BUNDLE_LIMITS.archiveBytes,
        timeoutMs: REQUEST_MS,
        longPollSeconds: longPollSeconds === 0 ? null : longPollSeconds,
      },
      (archive) => {
        this.#found = this.#options.prove(archive);
      },
    );
  }

  #attempt(prove: () => ProvedPolicy): void {
    try {
      this.#tell(prove());
    } catch (error) {
      this.#refused(error);
    }
  }

  #tell(proved: ProvedPolicy | null): void {
    if (proved === null) return;
    this.#note({ lastSuccessfulDownloadMs: Date.now(), error: null });
    if (proved.digest === this.#digest) return;
    this.#digest = proved.digest;
    this.#options.onPolicy(proved);
  }

  #refused(error: unknown): void {
    const fault =
      error instanceof PosternError ? error : new PosternError('opa_bundle', `Cannot use the bundle: ${String(error)}`);
    this.#note({ error: { code: fault.code, message: fault.message } });
    this.#options.onRefused(fault);
  }

  #note(change: Partial<FeedStatus>): void {
    this.#status = { ...this.#status, ...change };
  }
}

interface Secrets {
  readonly token: string | null;
  readonly ca: string | null;
}

/** No more of it than an archive may have. */
function readArchive(file: string): Buffer {
  try {
    const { size } = statSync(file);
    if (size <= DEFAULT_BUNDLE_LIMITS.archiveBytes) return readFileSync(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new PosternError('opa_file', `Cannot read the bundle "${file}": ${reason}`);
  }
  throw new PosternError(
    'opa_bundle_archive',
    `Cannot use the bundle "${file}": found more bytes than ${DEFAULT_BUNDLE_LIMITS.archiveBytes}`,
  );
}

function secretsOf({ caFile, tokenFile }: OpaBundleServer): Secrets {
  return {
    token: tokenFile === null ? null : readNamed(tokenFile, 'the token').toString('utf8').trim(),
    ca: caFile === null ? null : readNamed(caFile, 'the authorities').toString('utf8'),
  };
}

const POLL_MS = 2_000;
/** Of connecting, of waiting for a head and of a pause within a body. */
const REQUEST_MS = 10_000;
/** Of a whole request, the long poll apart. */
const WHOLE_MS = 120_000;
