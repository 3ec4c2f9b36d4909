/**
 * The one mutable record of a request: each phase writes down what it found, the report reads it at the end. A connection reuses
 * its exchange from request to request. Hot path.
 */
import type { Decision, Token } from '#authz/engine/input.ts';
import type { Answered } from './authorizers/answered.ts';
import type { Denial } from './authorizers/authorizer.ts';
import type { WrittenField } from './authn/tokens/found-tokens.ts';
import type { Connection } from './listen/connection.ts';
import type { Failure } from './failure.ts';
import type { WebsocketTunnel } from './forward/websocket-tunnel.ts';
import { PROCESS_TAG } from './process-tag.ts';
import { LogTail } from './report/access-log.ts';
import type { PolicySnapshot, Snapshot } from './snapshot.ts';
import type { RetryBudget } from './upstream/retry-budget.ts';

/** What the proxy did. */
export type Verdict = 'forwarded' | 'denied' | 'failed';

export class Exchange {
  readonly connection: Connection;
  /** The end of this connection's log lines. */
  readonly logTail = new LogTail();
  /** The snapshot that this request keeps to its end, whatever is swapped meanwhile; that of the decision which revokes it then. */
  snapshot: Snapshot;
  /** The policy that judged it last while it was open (proxy/revoke); it may be of a request before this one. */
  rejudgedBy: PolicySnapshot | null = null;
  /** Wall clock milliseconds at which what proves the user ends, and the exchange with it; Infinity without such a proof. */
  validUntilMs = Infinity;

  /** Number of the request within the process: makes the decision id. */
  sequence = 0;
  method = '';
  /** Canonical, without query; '' until the head was understood. */
  path = '';
  /** Host as compared. */
  authority = '';
  minor = 1;
  /** As the log names it. */
  protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2' = 'HTTP/1.1';
  requestId = '';
  traceparent = '';
  userAgent = '';
  forwardedFor = '';
  /** `x-forwarded-client-cert` as a trusted forwarder sent it, else ''. */
  saidClientCert = '';
  /** The original client as a trusted forwarder told it, else ''. */
  remoteIp = '';
  /** Target to forward in place of the one received, '' when that is canonical already. */
  rewrittenTarget = '';
  /** Field lines of this request alone that go upstream behind the connection's, each with its CRLF. */
  addedFields = '';
  /** Tokens of the user that were proved; the same empty list without any. */
  tokens: readonly Token[] = NO_TOKENS;
  /** Fields of `addedFields` that policy reads as those of the head: what a proved token says. */
  writtenFields: readonly WrittenField[] = NO_FIELDS;
  /** The fields that the policy reads, by lower-case name; the same empty list while it reads none. */
  readFields: readonly (readonly [string, string])[] = NO_FIELDS;

  /** What the request asks to become, once that is acceptable; the upstream says whether it does (`isTunnelOpen`). */
  tunnel: '' | 'websocket' | 'hbone' = '';
  /** `Sec-WebSocket-Key` of a caller that speaks HTTP/1.1. */
  tunnelKey = '';
  /** Set by the upstream before it hands on the head of an answer that opens the tunnel: from then on bodies are the tunnel's bytes. */
  isTunnelOpen = false;
  /** Ends the tunnel in its own words; null while there is none. */
  openTunnel: WebsocketTunnel | null = null;

  /** An external authorizer was asked and has not answered yet. */
  isPending = false;
  /** What it answered: the exchange is judged again with the same answer. */
  answered: Answered | null = null;
  /** The reply in place of that of `failure`; null for none. */
  denial: Denial | null = null;
  /** Field lines that are added to the response, each with its CRLF. */
  responseFields = '';

  /** A gRPC call: how it ended (-1 for nothing said), and the messages of both directions. */
  isGrpc = false;
  grpcStatus = -1;
  grpcReceived = 0;
  grpcSent = 0;

  decision: Decision | null = null;
  verdict: Verdict = 'failed';
  failure: Failure | null = null;
  /** More words for the log, such as the fault of a head; '' for none. */
  detail = '';

  /** Status that the caller got; 0 while it has none. */
  status = 0;
  /** Bytes of the body, without framing. */
  bytesReceived = 0;
  bytesSent = 0;

  /** Wall clock at the head's arrival, milliseconds. */
  startedMs = 0;
  /** Monotonic milliseconds, fractions included. */
  startedAt = 0;
  /** When the upstream had the whole request, and when its head came; 0 before that. */
  requestedAt = 0;
  respondedAt = 0;
  /** The endpoint that has it, or had it last. */
  upstreamHost = '';
  tries = 0;
  /** Says whether it may be tried again; set with the endpoint. */
  retries: RetryBudget | null = null;

  constructor(connection: Connection, snapshot: Snapshot) {
    this.connection = connection;
    this.snapshot = snapshot;
  }

  /** Names this decision in the reply, the log and `postern explain`. */
  decisionId(): string {
    return `${PROCESS_TAG}-${this.sequence.toString(36)}`;
  }

  /** Clears what the last try of this same request wrote: it is read and judged again. */
  retry(snapshot: Snapshot): void {
    const { sequence, startedMs, startedAt, method, minor, protocol, tunnel, tries, upstreamHost } = this;
    this.begin(snapshot, sequence, startedMs, startedAt);
    // Over HTTP/1.1 it is read from the head again.
    if (protocol === 'HTTP/2') this.tunnel = tunnel;
    this.method = method;
    this.minor = minor;
    this.protocol = protocol;
    this.tries = tries + 1;
    this.upstreamHost = upstreamHost;
  }

  /** Clears what the last request wrote. */
  begin(snapshot: Snapshot, sequence: number, startedMs: number, startedAt: number): void {
    this.snapshot = snapshot;
    this.validUntilMs = Infinity;
    this.sequence = sequence;
    this.method = '';
    this.path = '';
    this.authority = '';
    this.minor = 1;
    this.protocol = 'HTTP/1.1';
    this.requestId = '';
    this.traceparent = '';
    this.userAgent = '';
    this.forwardedFor = '';
    this.saidClientCert = '';
    this.remoteIp = '';
    this.rewrittenTarget = '';
    this.addedFields = '';
    this.tokens = NO_TOKENS;
    this.writtenFields = NO_FIELDS;
    this.readFields = NO_FIELDS;
    this.isPending = false;
    this.answered = null;
    this.denial = null;
    this.responseFields = '';
    if (this.tunnel !== '') this.#forgetTunnel();
    this.isGrpc = false;
    this.grpcStatus = -1;
    this.grpcReceived = 0;
    this.grpcSent = 0;
    this.decision = null;
    this.verdict = 'failed';
    this.failure = null;
    this.detail = '';
    this.status = 0;
    this.bytesReceived = 0;
    this.bytesSent = 0;
    this.startedMs = startedMs;
    this.startedAt = startedAt;
    this.requestedAt = 0;
    this.respondedAt = 0;
    this.upstreamHost = '';
    this.tries = 0;
  }

  #forgetTunnel(): void {
    this.tunnel = '';
    this.tunnelKey = '';
    this.isTunnelOpen = false;
    this.openTunnel = null;
  }
}

const NO_FIELDS: readonly (readonly [string, string])[] = [];
const NO_TOKENS: readonly Token[] = Object.freeze([]);
