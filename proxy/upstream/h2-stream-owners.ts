/** Hands what happens on a stream of an upstream's session to the exchange that it carries. Hot path. */
import type { Trailers } from '#wire/h1/chunked.ts';
import type { ResponseHead } from '#wire/h1/head.ts';
import type { H2Fault } from '#wire/h2/faults.ts';
import type { ClientEvents } from '#wire/h2/session-events.ts';
import type { H2Stream } from '#wire/h2/stream.ts';
import type { H2Connection } from './h2-connection.ts';
import type { H2Upstream } from './h2-upstream.ts';

export class StreamOwners implements ClientEvents<H2Upstream> {
  readonly #connection: H2Connection;

  constructor(connection: H2Connection) {
    this.#connection = connection;
  }

  onInformational(stream: H2Stream<H2Upstream>, head: ResponseHead): void {
    stream.owner?.informational(head);
  }

  onResponse(stream: H2Stream<H2Upstream>, head: ResponseHead): void {
    stream.owner?.response(head);
  }

  onData(stream: H2Stream<H2Upstream>, bytes: Buffer, start: number, end: number): void {
    stream.owner?.data(stream, bytes, start, end);
  }

  onEnd(stream: H2Stream<H2Upstream>, trailers: Trailers | null): void {
    stream.owner?.end(trailers);
  }

  onReset(stream: H2Stream<H2Upstream>, code: number, fault: H2Fault | null): void {
    stream.owner?.reset(code, fault);
  }

  onWritable(stream: H2Stream<H2Upstream>): void {
    stream.owner?.writable();
  }

  onGoaway(): void {
    this.#connection.going();
  }
}
