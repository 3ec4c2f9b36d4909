/**
 * A connection of which it is not known yet what is spoken on it. Looks at the first bytes, in the clear or inside of TLS, and gives
 * the connection, and every byte that it has read, to whoever speaks that. Where the upstream may be the one to speak first it is
 * dialled after a silence; whoever speaks first then tells. Hot path of connections, not of bytes.
 */
import type { Socket } from 'node:net';
import { Deadline } from '#base/timer-wheel.ts';
import { readFirstBytes, readPreface } from '#wire/sniff/first-bytes.ts';
import type { Failure } from '../failure.ts';
import { readProvisionally, type Reader } from '../io/tap.ts';
import type { Connection } from '../listen/connection.ts';
import type { DownstreamConnection } from '../listen/downstream-connection.ts';
import type { Judge } from '../revoke/judge.ts';
import type { Runtime } from '../runtime.ts';
import type { TcpDownstream } from '../tcp/tcp-downstream.ts';
import { outcomeOf, type Seen } from './outcome.ts';

/**
 * Who takes a connection over once its protocol is known. Each reads the socket from then on (`startReading`), and gives back what was
 * counted for the connection when it closes.
 */
export interface Takers {
  http1(): DownstreamConnection;
  http2(): DownstreamConnection;
  /** Decided and dialled by `start`, read by `readCaller`. */
  tcp(): TcpDownstream;
}

export interface DetectionOptions {
  readonly socket: Socket;
  readonly connection: Connection;
  readonly protocol: 'auto' | 'http';
  readonly runtime: Runtime;
  readonly takers: Takers;
  /** Whether a policy in force reads what only requests have; asked when it matters. */
  readonly readsHttp: () => boolean;
}

export class Detection extends Deadline implements Reader, DownstreamConnection {
  readonly connection: Connection;
  readonly requests = 0;
  onClosed: (() => void) | null = null;
  readonly #options: DetectionOptions;
  readonly #reader: Reader;
  #held: Buffer | null = null;
  /** Dialled after a silence, until one side speaks. */
  #tentative: TcpDownstream | null = null;
  #isDone = false;
  /** Somebody else reads the connection. */
  #isGiven = false;

  constructor(options: DetectionOptions) {
    super();
    const { socket, connection, runtime } = options;
    this.connection = connection;
    this.#options = options;
    runtime.wheel.arm(this, runtime.timeouts.detectMs);
    for (const event of ['error', 'close']) socket.on(event, () => this.#closed());
    this.#reader = readProvisionally(socket, this);
  }

  get isIdle(): boolean {
    return this.#held === null;
  }

  /** Takes what was read of the connection before it came here. */
  begin(first: Buffer | null, isSilent: boolean): void {
    if (first !== null) this.onBytes(first, first.length);
    else if (isSilent) this.#decide('silence');
  }

  onBytes(input: Buffer, end: number): boolean {
    const bytes = end === input.length ? input : input.subarray(0, end);
    this.#held = this.#held === null ? bytes : Buffer.concat([this.#held, bytes]);
    const seen =
      this.#options.protocol === 'auto' ? readFirstBytes(this.#held, 0, this.#held.length) : this.#readPreface(this.#held);
    return this.#decide(seen);
  }

  onEnd(): void {
    if (this.#isDone) return;
    if (this.#tentative !== null && this.#held === null) this.#giveTcp();
    else this.#decide(this.#held === null ? 'end' : 'unclear');
    if (this.#isGiven) this.#reader.onEnd();
  }

  onDeadline(): void {
    if (this.#held === null && this.#tentative !== null) return;
    this.#decide(this.#held === null ? 'silence' : 'unclear');
  }

  /** What it turns out to be is drained: a connection that was accepted is served, and this is over soon by itself. */
  drain(): void {}

  rejudge(judge: Judge): void {
    this.#tentative?.rejudge(judge);
  }

  destroy(failure: Failure, detail: string): void {
    if (this.#isDone) return;
    this.#options.runtime.report.refusal(this.connection, failure, detail);
    this.#end();
  }

  /** Only whether it is HTTP/2: the reader of HTTP/1.1 sees to everything else. */
  #readPreface(bytes: Buffer): Seen {
    const found = readPreface(bytes, 0, bytes.length);
    return found === 'whole' ? 'http2' : found === 'part' ? 'more' : 'http1';
  }

  /** Returns whether to read on. */
  #decide(seen: Seen): boolean {
    if (this.#isDone) return true;
    const { protocol, runtime } = this.#options;
    const outcome = outcomeOf(seen, protocol, seen !== 'more' && protocol === 'auto' && this.#options.readsHttp());
    switch (outcome) {
      case 'more':
        if (this.#tentative !== null) runtime.wheel.arm(this, runtime.timeouts.detectMs);
        return true;
      case 'tcp_tentative':
        this.#dialTentatively();
        return true;
      case 'close':
        this.#end();
        return true;
      case 'http1':
      case 'http2':
        return this.#giveHttp(outcome);
      case 'tcp':
        return this.#giveTcp();
      default:
        this.destroy(outcome, this.#detailOf(seen));
        return true;
    }
  }

  #giveHttp(protocol: 'http1' | 'http2'): boolean {
    const { takers, runtime } = this.#options;
    const before = this.#tentative ?? this;
    this.#tentative?.abandon();
    this.#leave();
    runtime.replaced(before, takers[protocol]());
    return this.#passOn();
  }

  #giveTcp(): boolean {
    const { takers, runtime } = this.#options;
    const downstream = this.#tentative ?? takers.tcp();
    this.#leave();
    if (downstream !== this.#tentative) {
      runtime.replaced(this, downstream);
      downstream.start();
    }
    downstream.readCaller();
    return this.#passOn();
  }

  /** Asks the policy and dials, but keeps reading the caller. */
  #dialTentatively(): void {
    const { takers, runtime } = this.#options;
    const downstream = takers.tcp();
    const { onClosed } = downstream;
    this.#tentative = downstream;
    downstream.onClosed = () => {
      this.#leave();
      onClosed?.();
    };
    downstream.onUpstreamSpoke = () => {
      if (this.#held === null) this.#giveTcp();
    };
    runtime.replaced(this, downstream);
    downstream.start();
  }

  #passOn(): boolean {
    this.#isGiven = true;
    const held = this.#held;
    this.#held = null;
    return held === null || this.#reader.onBytes(held, held.length);
  }

  #detailOf(seen: Seen): string {
    return seen === 'silence' || seen === 'unclear' || seen === 'raw' || seen === 'tls' ? seen : '';
  }

  #end(): void {
    if (this.#isDone) return;
    this.#leave();
    this.#options.socket.destroy();
    this.#options.runtime.closed(this);
  }

  #leave(): void {
    this.#isDone = true;
    this.#options.runtime.wheel.remove(this);
  }

  #closed(): void {
    if (this.#isDone) return;
    this.#leave();
    this.#held = null;
    if (this.#tentative === null) this.#options.runtime.closed(this);
  }
}
