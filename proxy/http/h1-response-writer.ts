/**
 * Writes responses of HTTP/1.1 to a caller: the upstream's head with framing of our own, the body in that framing. Hot path.
 */
import type { Trailers } from '#wire/h1/chunked.ts';
import { FRAMING, type ResponseHead } from '#wire/h1/head.ts';
import { copyFields, copyHead, copyTrailers, writeChunkHeader, writeText } from '#wire/h1/serialise.ts';
import { scratch, type Outlet } from '../io/outlet.ts';

export class H1ResponseWriter {
  /** A final head was written: nothing else can be said of this exchange but by breaking it off. */
  isHeadSent = false;
  readonly #outlet: Outlet;
  #isChunked = false;
  /** The caller waits for a 100 that it gets once its request is allowed. */
  #owesContinue = false;

  constructor(outlet: Outlet) {
    this.#outlet = outlet;
  }

  /** A new exchange. */
  begin(): void {
    this.isHeadSent = false;
    this.#isChunked = false;
    this.#owesContinue = false;
  }

  /** @param isHeldBack  whether the request is not allowed yet */
  continue(isHeldBack: boolean): void {
    if (isHeldBack) this.#owesContinue = true;
    else this.#outlet.append(CONTINUE, 0, CONTINUE.length);
  }

  /** The request is allowed. */
  continueOwed(): void {
    if (this.#owesContinue) this.continue(false);
    this.#owesContinue = false;
  }

  informational(head: ResponseHead): void {
    let at = this.#outlet.reserve(head.end - head.start + HEAD_SLACK);
    at = copyResponseHead(head, at);
    this.#outlet.commit(endHead(at));
  }

  /** Writes the head that opens a WebSocket (RFC 6455, section 4.2.2), however the upstream said so. */
  switch(head: ResponseHead, accept: string): void {
    this.isHeadSent = true;
    this.#isChunked = false;
    let at = this.#outlet.reserve(head.end - head.start + HEAD_SLACK);
    at = writeText(scratch, at, `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n`);
    at = writeText(scratch, at, `sec-websocket-accept: ${accept}\r\n`);
    at = copyFields(head, scratch, at);
    this.#outlet.commit(endHead(at));
  }

  /** Whether the body has no other end than the connection's: its length is unknown and the caller knows no chunks. */
  endsByClosing(head: ResponseHead, minor: number): boolean {
    return minor === 0 && (head.framing === FRAMING.chunked || head.framing === FRAMING.untilClose);
  }

  /** Writes the final head. `minor` is the caller's version. */
  head(head: ResponseHead, minor: number, closes: boolean): void {
    this.isHeadSent = true;
    let at = this.#outlet.reserve(head.end - head.start + HEAD_SLACK);
    at = copyResponseHead(head, at);
    this.#isChunked = false;
    if (head.framing === FRAMING.length) {
      at = writeText(scratch, at, `content-length: ${head.contentLength}\r\n`);
    } else if (minor === 1 && (head.framing === FRAMING.chunked || head.framing === FRAMING.untilClose)) {
      this.#isChunked = true;
      at += CHUNKED.copy(scratch, at);
    }
    if (closes) at += CLOSE.copy(scratch, at);
    else if (minor === 0) at += KEEP_ALIVE.copy(scratch, at);
    this.#outlet.commit(endHead(at));
  }

  body(bytes: Buffer, start: number, end: number): void {
    if (end === start) return;
    if (!this.#isChunked) {
      this.#outlet.append(bytes, start, end);
      return;
    }
    const at = this.#outlet.reserve(CHUNK_HEADER_MAX);
    this.#outlet.commit(writeChunkHeader(scratch, at, end - start));
    this.#outlet.append(bytes, start, end);
    this.#outlet.append(CRLF, 0, 2);
  }

  /** Ends the body; `trailers` are filtered and pass only in chunks. */
  end(trailers: Trailers | null): void {
    if (!this.#isChunked) return;
    this.#outlet.append(LAST_CHUNK, 0, LAST_CHUNK.length);
    if (trailers !== null) {
      const at = this.#outlet.reserve(trailers.end);
      this.#outlet.commit(copyTrailers(trailers, scratch, at));
    }
    this.#outlet.append(CRLF, 0, 2);
  }
}

function copyResponseHead(head: ResponseHead, at: number): number {
  if (head.minor === 1) return copyHead(head, scratch, at);
  const reason = head.bytes.toString('latin1', head.reasonStart, head.reasonEnd);
  return copyFields(head, scratch, writeText(scratch, at, `HTTP/1.1 ${head.status} ${reason}\r\n`));
}

function endHead(at: number): number {
  scratch[at] = 13;
  scratch[at + 1] = 10;
  return at + 2;
}

/** Room for the framing and connection fields that we write. */
const HEAD_SLACK = 256;
const CHUNK_HEADER_MAX = 16;
const CRLF = Buffer.from('\r\n', 'latin1');
const LAST_CHUNK = Buffer.from('0\r\n', 'latin1');
const CHUNKED = Buffer.from('transfer-encoding: chunked\r\n', 'latin1');
const CLOSE = Buffer.from('connection: close\r\n', 'latin1');
const KEEP_ALIVE = Buffer.from('connection: keep-alive\r\n', 'latin1');
const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');
