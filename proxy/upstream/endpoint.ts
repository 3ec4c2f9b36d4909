/**
 * One address of an upstream: what is spoken there, the connections that several callers share, how much goes to it and how it did
 * lately. Hot path.
 */
import type { UpstreamProtocol } from '#proto/config/proxy.ts';
import type { Dialer } from './dialer.ts';
import type { H2Connection, H2Holder } from './h2-connection.ts';
import type { HeldRequest } from './held-request.ts';

export class Endpoint implements H2Holder {
  /** `host:port`, for the log. */
  readonly name: string;
  readonly dialer: Dialer;
  /** What is spoken there; null while only a handshake can tell. */
  protocol: UpstreamProtocol | null;
  /** When a handshake told so, in the wheel's time. */
  learnedAtMs = 0;
  /** HTTP/2 connections that may take streams of any caller. */
  readonly multiplexed: H2Connection[] = [];
  /** Requests that wait for one of them, bounded over all endpoints by `circuit.pendingRequests`. */
  readonly waiting: HeldRequest[] = [];
  /** Connections that are being opened to be shared. */
  handshakes = 0;
  /** Streams that its newest connection takes; before it has said so, what RFC 9113, section 6.5.2 recommends as the least. */
  streams = 100;
  /** Exchanges under way. */
  inFlight = 0;
  /** Exchanges in a row that failed by the endpoint's fault. */
  failuresInRow = 0;
  /** Until when it is left out, in the wheel's time; 0 when it is not. */
  ejectedUntilMs = 0;
  /** How often it was left out; falls again while it does well. */
  ejections = 0;
  /** Since when it is in use again, or was forgiven an ejection. */
  wellSinceMs = 0;
  /** Since start, for the metrics. */
  exchanges = 0;
  failures = 0;
  ejectionsTotal = 0;

  readonly #isFixed: boolean;

  /** @param protocol  what is spoken there for sure; null lets each handshake tell */
  constructor(name: string, dialer: Dialer, protocol: UpstreamProtocol | null) {
    this.name = name;
    this.dialer = dialer;
    this.protocol = protocol;
    this.#isFixed = protocol !== null;
  }

  /** It has refused a stream because it wants HTTP/1.1 (RFC 9113, section 7). */
  wantsHttp1(nowMs: number): void {
    if (this.#isFixed) return;
    this.protocol = 'http1';
    this.learnedAtMs = nowMs;
  }

  /** What a handshake told is believed for a while: a peer that learns HTTP/2 is found out. */
  speaksHttp1(nowMs: number): boolean {
    return this.protocol === 'http1' && (this.#isFixed || nowMs - this.learnedAtMs < BELIEVED_MS);
  }
}

const BELIEVED_MS = 60_000;
