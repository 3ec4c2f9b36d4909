/**
 * What a caller has sent and nobody has used yet: part of a head, or a request that waits for the one before it. Bounded by one
 * head and one read. Hot path.
 */
import { BodyDecoder } from '#wire/h1/body.ts';
import { RequestHead, type HeadLimits } from '#wire/h1/head.ts';
import { parseRequestHead } from '#wire/h1/request.ts';

export class H1RequestReader {
  /** Heads are parsed, judged and forwarded within one call, so one record serves all connections. */
  readonly head = HEAD_RECORD;
  readonly body = new BodyDecoder();
  #pending: Buffer | null = null;
  /** Bytes of `#pending` in which no head was found. */
  #searched = 0;
  /** What the head in flight was read from, while it may have to be sent again: `#retryStart` to `#retryEnd`. */
  #retryBytes: Buffer | null = null;
  #retryStart = 0;
  #retryEnd = 0;

  /** Nothing waits. */
  get isEmpty(): boolean {
    return this.#pending === null;
  }

  /** What waits, or was joined with the newest read, is the beginning of a head. */
  get hasPartOfHead(): boolean {
    return this.#searched > 0;
  }

  /** `input` behind what waits. */
  joined(input: Buffer): Buffer {
    const waiting = this.#pending;
    if (waiting === null) return input;
    this.#pending = null;
    return Buffer.concat([waiting, input]);
  }

  /** What waits, to be read now; null when nothing does. */
  takePending(): Buffer | null {
    const waiting = this.#pending;
    this.#pending = null;
    return waiting;
  }

  /** Lets bytes wait that are not looked at now. */
  hold(bytes: Buffer, at: number, end: number): void {
    this.#pending = at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end);
    this.#searched = 0;
  }

  /**
   * Parses the next head into `head`, and prepares `body` for what follows it.
   *
   * @returns the offset after it, 0 when it is incomplete (what there is waits), or a negative fault
   */
  readHead(bytes: Buffer, at: number, end: number, limits: HeadLimits): number {
    // A head that came in part is looked at again only when a line has ended since: many small reads cost no more than one.
    const isWorthALook = this.#searched === 0 || end - at >= limits.headBytes || bytes.indexOf(LF, at + this.#searched) >= 0;
    const next = isWorthALook ? parseRequestHead(bytes, at, end, HEAD_RECORD, limits) : 0;
    if (next === 0) {
      this.hold(bytes, at, end);
      this.#searched = end - at;
      return 0;
    }
    this.#searched = 0;
    this.#retryBytes = null;
    if (next < 0) return next;
    this.body.begin(HEAD_RECORD.framing, HEAD_RECORD.contentLength);
    if (this.body.isDone) {
      this.#retryBytes = bytes;
      this.#retryStart = HEAD_RECORD.start;
      this.#retryEnd = next;
    }
    return next;
  }

  /** Whether the request in flight could be sent again: it had no body, and nothing was answered. */
  get isRepeatable(): boolean {
    return this.#retryBytes !== null;
  }

  /** Parses the head in flight once more; call only when `isRepeatable`. A second time it is not. */
  repeatHead(limits: HeadLimits): void {
    const bytes = this.#retryBytes;
    this.#retryBytes = null;
    if (bytes !== null) parseRequestHead(bytes, this.#retryStart, this.#retryEnd, HEAD_RECORD, limits);
  }

  /** The request in flight is being answered. */
  forgetHead(): void {
    this.#retryBytes = null;
  }

  /** The connection ends: nothing that waits will be read. */
  clear(): void {
    this.#pending = null;
    this.#searched = 0;
    this.#retryBytes = null;
  }
}

const HEAD_RECORD = new RequestHead();
const LF = 10;
