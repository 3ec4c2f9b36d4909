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
  /** The request in flight could be sent again: it had no body, and nothing was answered. */
  isRepeatable = false;
  /** What the head in flight was read from, to be judged or sent again: `#headStart` to `#headEnd`. */
  #headBytes: Buffer | null = null;
  #headStart = 0;
  #headEnd = 0;

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
    this.#headBytes = null;
    if (next < 0) return next;
    this.body.begin(HEAD_RECORD.framing, HEAD_RECORD.contentLength);
    this.isRepeatable = this.body.isDone;
    // INVARIANT: what a caller sends is never read into memory that is read into again (io/tap.ts).
    this.#headBytes = bytes;
    this.#headStart = HEAD_RECORD.start;
    this.#headEnd = next;
    return next;
  }

  /** Parses the head in flight once more into `head`. */
  again(limits: HeadLimits): RequestHead | null {
    const bytes = this.#headBytes;
    if (bytes === null || parseRequestHead(bytes, this.#headStart, this.#headEnd, HEAD_RECORD, limits) <= 0) return null;
    return HEAD_RECORD;
  }

  freed(): void {
    // The record is everybody's.
  }

  /** The exchange lasts: what its head was read from may be much larger, and is not held for it. */
  compact(): void {
    const bytes = this.#headBytes;
    const length = this.#headEnd - this.#headStart;
    if (bytes === null || bytes.length <= 2 * length + COMPACT_SLACK) return;
    this.#headBytes = Buffer.allocUnsafeSlow(length);
    bytes.copy(this.#headBytes, 0, this.#headStart, this.#headEnd);
    this.#headStart = 0;
    this.#headEnd = length;
  }

  /** The exchange is over. */
  forgetHead(): void {
    this.#headBytes = null;
    this.isRepeatable = false;
  }

  /** The connection ends: nothing that waits will be read. */
  clear(): void {
    this.#pending = null;
    this.#searched = 0;
    this.forgetHead();
  }
}

const HEAD_RECORD = new RequestHead();
const COMPACT_SLACK = 512;
const LF = 10;
