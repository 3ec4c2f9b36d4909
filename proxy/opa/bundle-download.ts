/**
 * Fetches an OPA bundle over HTTP (OPA's bundle API): conditional on its ETag, with a long poll where the server offers one, and
 * with the last good archive on disk, so that a sidecar starts without the server. It runs in a thread of its own (office.ts), never on
 * the data path's loop. INVARIANT: an archive is stored, and its ETag sent, only after `accept` has found it good.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

import { Agent, request } from 'undici';
import type { Dispatcher } from 'undici';

import { PosternError } from '#base/error.ts';

export interface BundleSource {
  readonly url: string;
  /** Sent as a bearer token; null for none. */
  readonly token: string | null;
  /** Where the last good archive is kept; null keeps none. */
  readonly file: string | null;
  /** Longest archive that is taken. */
  readonly maxBytes: number;
  readonly timeoutMs: number;
  /** How long a server may hold back its answer until there is something new; null for no long poll. */
  readonly longPollSeconds: number | null;
  /** PEM of the certificate authorities that the server is verified with; null for those of the runtime. */
  readonly ca: string | null;
}

/** Judges an archive; throws to refuse it. */
export type Accept = (archive: Uint8Array) => void;

export type Fetched =
  | { readonly kind: 'new'; readonly archive: Uint8Array }
  /** The server has nothing newer. */
  | { readonly kind: 'unchanged' };

/** What is known to have gone well, for the status document. */
export interface DownloadState {
  readonly etag: string | null;
  readonly isLongPoll: boolean;
  readonly failures: number;
}

export class BundleDownload {
  readonly #source: BundleSource;
  readonly #accept: Accept;
  readonly #agent: Agent;
  #etag: string | null = null;
  #isLongPoll = false;
  #failures = 0;

  constructor(source: BundleSource, accept: Accept) {
    checkUrl(source.url);
    this.#source = source;
    this.#accept = accept;
    this.#agent = new Agent({
      connections: 1,
      headersTimeout: source.timeoutMs + (source.longPollSeconds ?? 0) * 1000,
      bodyTimeout: source.timeoutMs,
      connect: { timeout: source.timeoutMs, ...(source.ca === null ? {} : { ca: source.ca }) },
    });
  }

  state(): DownloadState {
    return { etag: this.#etag, isLongPoll: this.#isLongPoll, failures: this.#failures };
  }

  /** The last good archive, or null when there is none that is still accepted. */
  restore(): Uint8Array | null {
    const { file } = this.#source;
    if (file === null) return null;
    try {
      const stored = readFileSync(file);
      const archive = unwrap(stored);
      if (archive === null) return null;
      this.#accept(archive.bytes);
      this.#etag = archive.etag;
      return archive.bytes;
    } catch {
      // Not there, not readable or no longer accepted: it is fetched anew.
      return null;
    }
  }

  /**
   * Asks the server once.
   *
   * @throws {PosternError} `opa_bundle_download` for what the server did, or what `accept` threw; the ETag is then forgotten, so
   * that the same archive is fetched again
   */
  async fetch(signal?: AbortSignal): Promise<Fetched> {
    try {
      const fetched = await this.#ask(signal);
      this.#failures = 0;
      return fetched;
    } catch (error) {
      this.#failures++;
      this.#etag = null;
      this.#isLongPoll = false;
      if (error instanceof PosternError) throw error;
      throw downloadFault(this.#source.url, error instanceof Error ? error.message : String(error));
    }
  }

  /** How long to wait before the next `fetch`, in milliseconds: after failures twice as long each time, with jitter. */
  pauseMs(random: () => number, intervalMs: number): number {
    if (this.#failures === 0) return this.#isLongPoll ? 0 : Math.round(intervalMs * (0.75 + 0.5 * random()));
    const full = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** Math.min(20, this.#failures - 1));
    return Math.round(full * (0.5 + 0.5 * random()));
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #ask(signal: AbortSignal | undefined): Promise<Fetched> {
    const { longPollSeconds, token, url } = this.#source;
    const wait = this.#isLongPoll && longPollSeconds !== null ? `;wait=${longPollSeconds}` : '';
    const response = await request(url, {
      dispatcher: this.#agent,
      ...(signal === undefined ? {} : { signal }),
      headers: {
        accept: 'application/gzip, application/vnd.openpolicyagent.bundles',
        prefer: `modes=snapshot${wait}`,
        ...(this.#etag === null ? {} : { 'if-none-match': this.#etag }),
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      },
    });
    const offersLongPoll = headerOf(response, 'content-type') === LONG_POLL_TYPE && longPollSeconds !== null;
    if (response.statusCode === 304 && this.#etag !== null) {
      await response.body.dump();
      this.#isLongPoll = offersLongPoll;
      return { kind: 'unchanged' };
    }
    // A redirect is none of these: where bundles come from is the operator's to say.
    if (response.statusCode !== 200) {
      abandon(response);
      throw downloadFault(url, `status ${response.statusCode}`);
    }
    const archive = await this.#body(response);
    this.#accept(archive);
    this.#etag = headerOf(response, 'etag');
    this.#isLongPoll = offersLongPoll;
    this.#store(archive);
    return { kind: 'new', archive };
  }

  async #body(response: Dispatcher.ResponseData): Promise<Buffer> {
    const { maxBytes, url } = this.#source;
    const chunks: Buffer[] = [];
    let length = 0;
    // A body without an encoding is a stream of buffers.
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxBytes) {
        abandon(response);
        throw downloadFault(url, `more than ${maxBytes} bytes`);
      }
      chunks.push(chunk);
    }
    const announced = headerOf(response, 'content-length');
    if (announced !== null && Number(announced) !== length) throw downloadFault(url, 'fewer bytes than announced');
    return Buffer.concat(chunks, length);
  }

  /** Written beside its place and moved there, so that nobody ever reads half of it. */
  #store(archive: Uint8Array): void {
    const { file } = this.#source;
    if (file === null) return;
    const draft = `${file}.${randomUUID()}`;
    try {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      writeFileSync(draft, wrap(archive, this.#etag), { mode: 0o600 });
      renameSync(draft, file);
    } catch (error) {
      rmSync(draft, { force: true });
      throw new PosternError(
        'opa_bundle_store',
        `Cannot store the bundle as "${file}": ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}

/** A line with the digest and the ETag before the archive; whether a file is whole is seen by it. */
function wrap(archive: Uint8Array, etag: string | null): Buffer {
  const digest = createHash('sha256').update(archive).digest('hex');
  return Buffer.concat([Buffer.from(`${JSON.stringify({ digest, etag })}\n`), archive]);
}

function unwrap(stored: Buffer): { readonly bytes: Buffer; readonly etag: string | null } | null {
  const end = stored.indexOf(0x0a);
  if (end < 0 || end > MAX_HEAD) return null;
  // Whatever it is, its members are looked at one by one.
  const head = JSON.parse(stored.toString('utf8', 0, end)) as { digest?: unknown; etag?: unknown } | null;
  const bytes = stored.subarray(end + 1);
  if (head?.digest !== createHash('sha256').update(bytes).digest('hex')) return null;
  return { bytes, etag: typeof head.etag === 'string' ? head.etag : null };
}

/** A body that is destroyed says so with an error, which nobody else waits for. */
function abandon({ body }: Dispatcher.ResponseData): void {
  body.on('error', () => undefined);
  body.destroy();
}

function headerOf(response: Dispatcher.ResponseData, name: string): string | null {
  const value = response.headers[name];
  return typeof value === 'string' ? value : null;
}

/** Plain HTTP only to the machine itself: a bundle may be signed, a token is not. */
function checkUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isLocal = url !== null && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  if (url !== null && url.username === '' && (url.protocol === 'https:' || (url.protocol === 'http:' && isLocal))) return;
  throw new PosternError(
    'opa_bundle_url',
    `Cannot fetch bundles from "${text}": wanted https, or http to the machine itself, without a user in it`,
  );
}

function downloadFault(url: string, found: string): PosternError {
  return new PosternError('opa_bundle_download', `Cannot fetch the bundle "${url}": found ${found}`);
}

const LONG_POLL_TYPE = 'application/vnd.openpolicyagent.bundles';
const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 60_000;
const MAX_HEAD = 4_096;
