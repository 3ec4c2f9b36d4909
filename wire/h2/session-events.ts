/** What a session tells the one object that handles it. Calls come from within `receive`, `tick`, `release` and `close`. */
import type { Trailers } from '../h1/chunked.ts';
import type { RequestHead, ResponseHead } from '../h1/head.ts';
import type { H2Fault } from './faults.ts';
import type { H2Stream } from './stream.ts';

/** What both roles have in common. */
export interface StreamEvents<Owner> {
  /**
   * Content of a message. The window that it took is given back by `H2Session.consumed` alone: whoever passes bytes on calls it
   * when they are gone.
   */
  onData(stream: H2Stream<Owner>, bytes: Buffer, start: number, end: number): void;
  /** The peer's message is complete; `trailers` are not filtered. */
  onEnd(stream: H2Stream<Owner>, trailers: Trailers | null): void;
  /**
   * The stream was broken off, by the peer when `fault` is null, else by us, and is closed. It is not called for what
   * `H2Session.reset` does.
   */
  onReset(stream: H2Stream<Owner>, code: number, fault: H2Fault | null): void;
  /** What waited on the stream is sent; it takes more. */
  onWritable(stream: H2Stream<Owner>): void;
  /** The peer takes no more streams above `lastStreamId`. Our own above it were reset with REFUSED_STREAM before this call. */
  onGoaway(lastStreamId: number, code: number): void;
}

/** Handles a session of which we are the server. */
export interface ServerEvents<Owner> extends StreamEvents<Owner> {
  /** A request begins. `head` is valid during the call. */
  onRequest(stream: H2Stream<Owner>, head: RequestHead): void;
  /** A request was refused before it became a stream: for the log. */
  onRefused(streamId: number, fault: H2Fault): void;
}

/** Handles a session of which we are the client. */
export interface ClientEvents<Owner> extends StreamEvents<Owner> {
  /** A 1xx. `head` is valid during the call. How many a stream may have is the handler's to say. */
  onInformational(stream: H2Stream<Owner>, head: ResponseHead): void;
  /** The final head. `head` is valid during the call. */
  onResponse(stream: H2Stream<Owner>, head: ResponseHead): void;
}

export type Role<Owner> =
  | { readonly server: ServerEvents<Owner>; readonly client: null }
  | { readonly server: null; readonly client: ClientEvents<Owner> };
