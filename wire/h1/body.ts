/**
 * A message body in whichever framing its head announced (RFC 9112, section 6), decoded by pulling: each `next` hands out a run of
 * body bytes. Hot path.
 */
import { ChunkedDecoder, type Trailers } from './chunked.ts';
import { FRAMING, type Framing } from './head.ts';

export class BodyDecoder {
  /** First byte of the run that the last `next` found. */
  dataStart = 0;
  /** The byte after it; equal to `dataStart` when there was none. */
  dataEnd = 0;
  /** The body, its trailers included, is complete. Never so by itself for `untilClose`. */
  isDone = true;
  #framing: Framing = FRAMING.none;
  #left = 0;
  /** Made for the first chunked body of a connection: most have none. */
  #chunks: ChunkedDecoder | null = null;

  /** Makes it ready for the body that a head announced. */
  begin(framing: Framing, contentLength: number): void {
    this.#framing = framing;
    this.#left = contentLength;
    this.isDone = framing === FRAMING.none || (framing === FRAMING.length && contentLength === 0);
    if (framing !== FRAMING.chunked) return;
    this.#chunks ??= new ChunkedDecoder();
    this.#chunks.reset();
  }

  /** The trailer section of a complete chunked body, null when there was none. */
  get trailers(): Trailers | null {
    return this.#framing === FRAMING.chunked && this.#chunks !== null ? this.#chunks.trailers : null;
  }

  /** The body ends where the connection does. */
  get isUntilClose(): boolean {
    return this.#framing === FRAMING.untilClose;
  }

  /**
   * Reads on in `bytes` from `at`, up to the end of a run, of the body, or `end`.
   *
   * @returns the offset after what it read, or a negative fault (`wireFault`)
   */
  next(bytes: Buffer, at: number, end: number): number {
    if (this.#framing === FRAMING.chunked && this.#chunks !== null) {
      const next = this.#chunks.next(bytes, at, end);
      this.dataStart = this.#chunks.dataStart;
      this.dataEnd = this.#chunks.dataEnd;
      this.isDone = this.#chunks.isDone;
      return next;
    }
    const stop = this.#framing === FRAMING.untilClose || end - at < this.#left ? end : at + this.#left;
    this.dataStart = at;
    this.dataEnd = stop;
    if (this.#framing === FRAMING.length) {
      this.#left -= stop - at;
      this.isDone = this.#left === 0;
    }
    return stop;
  }
}
