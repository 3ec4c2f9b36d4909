/**
 * The two ends of an exchange, as each sees the other. A downstream is where a response goes, an upstream is where a request
 * goes; neither knows the other's protocol, so each protocol is written once per side. Calls happen within one event of the
 * loop: bytes are valid only during the call. Hot path.
 */
import type { Trailers } from '#wire/h1/chunked.ts';
import type { RequestHead, ResponseHead } from '#wire/h1/head.ts';
import type { Exchange } from '../exchange.ts';
import type { Failure } from '../failure.ts';

export interface Downstream {
  readonly exchange: Exchange;
  /** The caller takes no more for now: stop feeding it until it calls `Upstream.resumeResponse`. */
  readonly isBlocked: boolean;
  /** A 1xx other than 100 and 101. */
  respondInformational(head: ResponseHead): void;
  /** The final head, filtered: fields with `dropped` set do not pass, framing is written anew. */
  respondHead(head: ResponseHead): void;
  respondBody(bytes: Buffer, start: number, end: number): void;
  /** `trailers` are filtered. */
  respondEnd(trailers: Trailers | null): void;
  /**
   * The upstream is gone. Before the response's head this becomes a reply (or another try), after it the response is broken off
   * so that the caller can tell.
   */
  upstreamFailed(failure: Failure): void;
  /** The upstream takes more of the request again. */
  resumeRequest(): void;
}

export interface Upstream {
  /** The upstream takes no more for now: stop feeding it until it calls `Downstream.resumeRequest`. */
  readonly isBlocked: boolean;
  /** Had carried another request before this one. */
  readonly isReused: boolean;
  requestHead(head: RequestHead, exchange: Exchange): void;
  requestBody(bytes: Buffer, start: number, end: number): void;
  requestEnd(trailers: Trailers | null): void;
  /** Gives the exchange up; whatever was sent must not look complete to the upstream. */
  abort(): void;
  /** The caller takes more of the response again. */
  resumeResponse(): void;
}
