/**
 * Our identity from files: certificate chain, key and trust bundles, watched and polled. A change is taken as a whole or not at all; what
 * is refused is reported, and the last good snapshot stays. One read at a time.
 */
import { readFile, stat } from 'node:fs/promises';

import type { Clock } from '#base/clock.ts';
import { PosternError } from '#base/error.ts';

import type { TrustBundle } from '../trust-bundle.ts';
import { TrustBundles } from '../trust-bundle.ts';
import { assemble } from './assemble.ts';
import type { IdentityFault, IdentityFiles, IdentitySnapshot } from './assemble.ts';
import { FolderWatch } from './watch.ts';

export interface FileSourceOptions {
  readonly files: IdentityFiles;
  /** Our own; the SVID must be of it. */
  readonly trustDomain: string;
  readonly clock: Clock;
  /** Between looks at the files when no event comes; default 2 s. */
  readonly pollMs?: number;
  /** A new snapshot is in force. Must not throw. */
  readonly onChange: (snapshot: IdentitySnapshot) => void;
  /** What is on disk now was refused, and the last good snapshot stays. Once for each different fault. Must not throw. */
  readonly onRefused: (fault: IdentityFault) => void;
}

/** A running source. Never keeps the process alive. */
export class FileIdentitySource {
  readonly #options: FileSourceOptions;
  readonly #watch: FolderWatch;
  readonly #paths: readonly string[];
  #snapshot: IdentitySnapshot;
  /** What the files looked like at the last read; different means read again. */
  #seen = '';
  /** Message of the fault that was reported last, null while the files on disk are the ones in force. */
  #reported: string | null = null;
  #reading: Promise<void> | null = null;
  #isReadDue = false;
  #settle: NodeJS.Timeout | null = null;
  #poll: NodeJS.Timeout | null = null;
  #isClosed = false;

  private constructor(options: FileSourceOptions, first: IdentitySnapshot) {
    this.#options = options;
    this.#snapshot = first;
    const { bundles, certificate, key, revocationLists = {} } = options.files;
    this.#paths = [certificate, key, ...Object.values(bundles), ...Object.values(revocationLists)];
    this.#watch = new FolderWatch(() => this.#poke());
  }

  /**
   * Reads the files for the first time and begins to watch them.
   *
   * @throws {PosternError} when they cannot be used, with the fault's code and message
   */
  static async open(options: FileSourceOptions): Promise<FileIdentitySource> {
    const loaded = await load(options);
    if ('fault' in loaded) throw new PosternError(loaded.fault.code, loaded.fault.message);
    const bundles = new TrustBundles(loaded.bundles, 1);
    const source = new FileIdentitySource(options, snapshotOf(1, loaded, bundles));
    source.#seen = loaded.seen;
    await source.#watch.follow(source.#paths);
    source.#poll = setInterval(() => source.#look(), options.pollMs ?? DEFAULT_POLL_MS).unref();
    // The time between the first read and the watch is nobody's; look again.
    source.#poke();
    return source;
  }

  get snapshot(): IdentitySnapshot {
    return this.#snapshot;
  }

  /** Reads the files now (SIGHUP), and reports a fault even if it was reported before. Resolves when they have been judged. */
  async reload(): Promise<void> {
    if (this.#isClosed) return;
    this.#reported = null;
    await this.#read();
  }

  close(): void {
    this.#isClosed = true;
    this.#watch.close();
    if (this.#settle !== null) clearTimeout(this.#settle);
    if (this.#poll !== null) clearInterval(this.#poll);
  }

  /** An event came. A rotation writes several files, so wait a moment for the others. */
  #poke(): void {
    if (this.#isClosed) return;
    this.#settle ??= setTimeout(() => {
      this.#settle = null;
      void this.#read();
    }, SETTLE_MS).unref();
  }

  /** The poll: reads when the files look different, or when what is there was refused and time alone may have mended it. */
  #look(): void {
    void signatureOf(this.#paths).then(async (seen) => {
      if (this.#isClosed) return;
      if (seen !== this.#seen || this.#reported !== null) await this.#read();
      await this.#watch.follow(this.#paths);
    });
  }

  /** Never two at once: a read that is asked for during another follows it, and all who ask meanwhile share that one. */
  #read(): Promise<void> {
    if (this.#reading !== null) {
      this.#isReadDue = true;
      return this.#reading;
    }
    this.#reading = this.#readUntilDone().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async #readUntilDone(): Promise<void> {
    do {
      this.#isReadDue = false;
      let loaded = await load(this.#options);
      // A fault within a rotation that is under way ends by itself; ask again before it is told.
      for (let attempt = 0; attempt < RETRIES && 'fault' in loaded && !this.#isClosed; attempt++) {
        await new Promise((wake) => setTimeout(wake, RETRY_MS));
        loaded = await load(this.#options);
      }
      if (this.#isClosed) return;
      this.#seen = loaded.seen;
      if ('fault' in loaded) this.#refuse(loaded.fault);
      else this.#accept(loaded);
      await this.#watch.follow(this.#paths);
    } while (this.#isReadDue && !this.#isClosed);
  }

  #accept(loaded: Loaded): void {
    this.#reported = null;
    const { svid, bundles, generation } = this.#snapshot;
    const areBundlesNew = loaded.bundles.some((each) => each.digest !== bundles.of(each.trustDomain)?.digest);
    const isSvidNew = loaded.svid.certificatePem !== svid.certificatePem || loaded.svid.keyPem !== svid.keyPem;
    if (!areBundlesNew && !isSvidNew) return;
    const nextBundles = areBundlesNew ? new TrustBundles(loaded.bundles, bundles.generation + 1) : bundles;
    this.#snapshot = snapshotOf(generation + 1, loaded, nextBundles);
    this.#options.onChange(this.#snapshot);
  }

  #refuse(fault: IdentityFault): void {
    if (this.#reported === fault.message) return;
    this.#reported = fault.message;
    this.#options.onRefused(fault);
  }
}

interface Loaded {
  readonly svid: IdentitySnapshot['svid'];
  readonly bundles: readonly TrustBundle[];
  readonly seen: string;
}

async function load(options: FileSourceOptions): Promise<Loaded | { readonly fault: IdentityFault; readonly seen: string }> {
  const { files, trustDomain, clock } = options;
  const domains = Object.entries(files.bundles);
  const lists = Object.entries(files.revocationLists ?? {});
  const paths = [files.certificate, files.key, ...[...domains, ...lists].map(([, file]) => file)];
  // The looks of the files come first: what is written after them is seen as a change.
  const seen = await signatureOf(paths);
  const read = await Promise.all(paths.map(readText));
  const texts: string[] = [];
  for (const text of read) {
    if (typeof text !== 'string') return { fault: text, seen };
    texts.push(text);
  }
  const [certificate = '', key = '', ...bundleTexts] = texts;
  const bundles = new Map(domains.map(([domain], index) => [domain, bundleTexts[index] ?? '']));
  const revocationLists = new Map(lists.map(([domain], index) => [domain, bundleTexts[domains.length + index] ?? '']));
  const result = assemble({ certificate, key, bundles, revocationLists }, files, trustDomain, clock.nowMs());
  return result.ok ? { svid: result.svid, bundles: result.bundles, seen } : { fault: result.fault, seen };
}

async function readText(file: string): Promise<string | IdentityFault> {
  try {
    const { size } = await stat(file);
    if (size > MAX_FILE_BYTES) {
      return {
        code: 'file_too_large',
        message: `Cannot read "${file}": it has ${size} bytes, at most ${MAX_FILE_BYTES} are read`,
        file,
      };
    }
    return await readFile(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unreadable';
    return { code: 'file_unreadable', message: `Cannot read "${file}": ${reason}`, file };
  }
}

/** Changes when any of the files was written or replaced, links followed. */
async function signatureOf(paths: readonly string[]): Promise<string> {
  const parts = paths.map(async (path) => {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
      return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
    } catch {
      return 'absent';
    }
  });
  return (await Promise.all(parts)).join('\n');
}

function snapshotOf(generation: number, loaded: Loaded, bundles: TrustBundles): IdentitySnapshot {
  return Object.freeze({ generation, bundleGeneration: bundles.generation, svid: loaded.svid, bundles });
}

const DEFAULT_POLL_MS = 2000;
/** From the first event of a change to the read, and between reads that find a fault: a refusal is told 220 ms after the event. */
const SETTLE_MS = 30;
const RETRY_MS = 95;
const RETRIES = 2;
const MAX_FILE_BYTES = 1_048_576;
