/**
 * A WebSocket between a caller and an upstream, whichever protocols the two speak. It stands between them as an exchange's other end
 * for both: passes bytes on as they come, follows the frames of both directions, and when the tunnel has to end by our will, says so
 * with a Close frame of its own at the next boundary (RFC 6455, section 5.5.1), or breaks it off if none comes in time. Hot path.
 */
import { randomBytes } from 'node:crypto';
import { Deadline, type TimerWheel } from '#base/timer-wheel.ts';
import type { Trailers } from '#wire/h1/chunked.ts';
import type { RequestHead, ResponseHead } from '#wire/h1/head.ts';
import { CLOSE_CODE, closeFrame, type CloseCode } from '#wire/websocket/close-frame.ts';
import { FrameFollower } from '#wire/websocket/frame-follower.ts';
import { Exchange } from '../exchange.ts';
import type { Failure } from '../failure.ts';
import type { Downstream, Upstream } from './streams.ts';

/** The tunnel as its caller sees it. */
export class WebsocketTunnel extends Deadline implements Upstream {
  /** As the upstream sees it. */
  readonly downstream: Downstream;
  /** The caller, until it is done. */
  caller: Downstream;
  readonly #wheel: TimerWheel;
  readonly #idleMs: number;
  readonly #requests = new FrameFollower();
  readonly #responses = new FrameFollower();
  #upstream: Upstream | null = null;
  /** Ends by our will: nothing of the caller passes any more, and of the upstream only the rest of a frame. */
  #code: CloseCode | 0 = 0;
  #isRequestDone = false;
  #isResponseDone = false;

  /** `idleMs` of silence in both directions end it; 0 is never. */
  constructor(caller: Downstream, wheel: TimerWheel, idleMs: number) {
    super();
    this.caller = caller;
    this.#wheel = wheel;
    this.#idleMs = idleMs;
    this.downstream = new TunnelDownstream(this);
  }

  /** Where the handshake goes. */
  connect(upstream: Upstream): void {
    this.#upstream = upstream;
  }

  get isBlocked(): boolean {
    return this.#upstream !== null && this.#upstream.isBlocked;
  }

  get isReused(): boolean {
    return this.#upstream !== null && this.#upstream.isReused;
  }

  /** Both ends have said their last (RFC 6455, section 7.1.3): however the connections end, nothing is missing. */
  get isDone(): boolean {
    const [requests, responses] = [this.#requests, this.#responses];
    return requests.hasClosed && requests.isAtBoundary && responses.hasClosed && responses.isAtBoundary;
  }

  requestHead(head: RequestHead, exchange: Exchange): void {
    this.#upstream?.requestHead(head, exchange);
  }

  requestBody(bytes: Buffer, start: number, end: number): void {
    if (this.#code !== 0) return;
    this.#requests.follow(bytes, start, end);
    this.#moved();
    this.#upstream?.requestBody(bytes, start, end);
  }

  requestEnd(): void {
    if (this.#code !== 0) return;
    this.#isRequestDone = true;
    if (this.#isResponseDone) this.#letGo();
    else this.caller.exchange.detail = 'downstream_closed';
    this.#upstream?.requestEnd(null);
  }

  abort(): void {
    this.#letGo();
    const upstream = this.#upstream;
    this.#upstream = null;
    upstream?.abort();
  }

  resumeResponse(): void {
    this.#upstream?.resumeResponse();
  }

  /** Ends it by our will; why, the exchange says. Both ends are told in WebSocket's own words where their frames allow it. */
  end(): void {
    if (this.#code !== 0) return;
    const { failure } = this.caller.exchange;
    const code = failure === 'draining' || failure === 'tunnel_idle' ? CLOSE_CODE.goingAway : CLOSE_CODE.policyViolation;
    this.#code = code;
    this.#wheel.arm(this, END_MS);
    this.#tellUpstream(code);
    if (this.#responses.isAtBoundary) this.#tellCaller(code);
  }

  onDeadline(): void {
    if (this.#code !== 0) return this.#breakOff();
    this.caller.exchange.failure = 'tunnel_idle';
    this.end();
  }

  /** The handshake has been answered; `isOpen` when the tunnel begins. */
  answered(head: ResponseHead, isOpen: boolean): void {
    if (isOpen) this.#moved();
    this.caller.respondHead(head);
  }

  responded(bytes: Buffer, start: number, end: number): void {
    if (this.#code === 0) {
      this.#responses.follow(bytes, start, end);
      this.#moved();
      this.caller.respondBody(bytes, start, end);
      return;
    }
    if (this.caller instanceof NoCaller) return;
    const boundary = this.#responses.followToBoundary(bytes, start, end);
    this.caller.respondBody(bytes, start, boundary < 0 ? end : boundary);
    if (boundary >= 0) this.#tellCaller(this.#code);
  }

  /** The upstream has ended its direction. */
  upstreamEnded(): void {
    if (this.#code !== 0) {
      if (!(this.caller instanceof NoCaller)) return this.#breakOff();
      this.#wheel.remove(this);
      this.#upstream = null;
      return;
    }
    this.#isResponseDone = true;
    const { caller } = this;
    if (this.#isRequestDone) this.#letGo();
    else caller.exchange.detail = 'upstream_closed';
    caller.respondEnd(null);
  }

  upstreamGone(failure: Failure): void {
    this.#upstream = null;
    if (this.isDone && this.#code === 0) {
      if (!this.#isResponseDone) this.upstreamEnded();
      return;
    }
    const { caller } = this;
    this.#letGo();
    caller.upstreamFailed(this.#code === 0 ? failure : (caller.exchange.failure ?? failure));
  }

  #moved(): void {
    if (this.#idleMs > 0) this.#wheel.arm(this, this.#idleMs);
  }

  #tellUpstream(code: CloseCode): void {
    const upstream = this.#upstream;
    // Within a frame nothing can be said; the reset that follows leaves no doubt that something is missing.
    if (upstream === null || !this.#requests.isAtBoundary) return;
    if (!this.#requests.hasClosed) {
      const frame = closeFrame(code, this.caller.exchange.failure ?? '', randomBytes(4));
      upstream.requestBody(frame, 0, frame.length);
    }
    upstream.requestEnd(null);
  }

  #tellCaller(code: CloseCode): void {
    const { caller } = this;
    this.caller = new NoCaller(caller.exchange);
    if (!this.#responses.hasClosed) {
      const frame = closeFrame(code, caller.exchange.failure ?? '', null);
      caller.respondBody(frame, 0, frame.length);
    }
    caller.respondEnd(null);
    // An upstream that could be told has until the deadline to answer.
    if (!this.#requests.isAtBoundary) this.abort();
  }

  #breakOff(): void {
    const { caller } = this;
    this.abort();
    caller.upstreamFailed(caller.exchange.failure ?? 'upstream_reset');
  }

  /** The caller is done with it, or about to be. */
  #letGo(): void {
    this.#wheel.remove(this);
    if (!(this.caller instanceof NoCaller)) this.caller = new NoCaller(this.caller.exchange);
  }
}

/** What the upstream of a tunnel takes for its caller. */
class TunnelDownstream implements Downstream {
  readonly #tunnel: WebsocketTunnel;

  constructor(tunnel: WebsocketTunnel) {
    this.#tunnel = tunnel;
  }

  get exchange(): Exchange {
    return this.#tunnel.caller.exchange;
  }

  get isBlocked(): boolean {
    return this.#tunnel.caller.isBlocked;
  }

  respondInformational(head: ResponseHead): void {
    this.#tunnel.caller.respondInformational(head);
  }

  respondHead(head: ResponseHead): void {
    this.#tunnel.answered(head, this.exchange.isTunnelOpen);
  }

  respondBody(bytes: Buffer, start: number, end: number): void {
    // A refusal is an ordinary response.
    if (this.exchange.isTunnelOpen) this.#tunnel.responded(bytes, start, end);
    else this.#tunnel.caller.respondBody(bytes, start, end);
  }

  respondEnd(trailers: Trailers | null): void {
    if (this.exchange.isTunnelOpen) this.#tunnel.upstreamEnded();
    else this.#tunnel.caller.respondEnd(trailers);
  }

  upstreamFailed(failure: Failure): void {
    this.#tunnel.upstreamGone(failure);
  }

  resumeRequest(): void {
    this.#tunnel.caller.resumeRequest();
  }
}

/** Stands in for a caller that is done: its own record may carry another exchange by now. */
class NoCaller implements Downstream {
  readonly exchange: Exchange;
  readonly isBlocked = false;

  constructor({ connection, snapshot }: Exchange) {
    this.exchange = new Exchange(connection, snapshot);
    this.exchange.isTunnelOpen = true;
  }

  respondInformational(): void {}
  respondHead(): void {}
  respondBody(): void {}
  respondEnd(): void {}
  upstreamFailed(): void {}
  resumeRequest(): void {}
}

/** Time that a frame under way has to end, and an upstream to answer our Close; with a tick of the wheel it is within a second. */
const END_MS = 700;
