/**
 * The access log: one JSON object a line with Istio's keys (telemetry_logging.go) and ours behind them. Query, cookies and
 * credentials never stand in it. Hot path.
 */
import type { Decision } from '#authz/engine/input.ts';
import { FAILURES, type Failure } from '../failure.ts';
import type { Exchange } from '../exchange.ts';
import type { Connection } from '../listen/connection.ts';
import { PROCESS_TAG } from '../process-tag.ts';
import { jsonText, jsonTextOrNull } from './json-text.ts';
import { fixedBytes, putBytes, putNumber, putText, putTimestamp } from './log-bytes.ts';
import { timestamp } from './timestamp.ts';

/** Characters of a text that a line shows. */
const PATH_MAX = 2_048;
const REQUEST_ID_MAX = 128;
const TRACE_MAX = 256;

/**
 * The end of a connection's lines: what mostly stays the same from request to request, as bytes. Made anew when anything in it
 * has changed.
 */
export class LogTail {
  bytes: Buffer = NO_BYTES;
  #method = '';
  #protocol = '';
  #isGrpc = false;
  #grpcStatus = -1;
  #grpcReceived = 0;
  #grpcSent = 0;
  #status = -1;
  #authority = '';
  #userAgent = '';
  #forwardedFor = '';
  #upstreamHost = '';
  #decision: Decision | null = null;
  #hasFailed = false;
  #detail = '';

  /** Brings `bytes` up to date with a finished exchange. */
  update(exchange: Exchange): void {
    if (
      exchange.decision === this.#decision &&
      exchange.status === this.#status &&
      exchange.failure === null &&
      !this.#hasFailed &&
      exchange.detail === this.#detail &&
      exchange.userAgent === this.#userAgent &&
      exchange.authority === this.#authority &&
      exchange.method === this.#method &&
      exchange.forwardedFor === this.#forwardedFor &&
      exchange.upstreamHost === this.#upstreamHost &&
      exchange.protocol === this.#protocol &&
      exchange.isGrpc === this.#isGrpc &&
      exchange.grpcStatus === this.#grpcStatus &&
      exchange.grpcReceived === this.#grpcReceived &&
      exchange.grpcSent === this.#grpcSent
    ) {
      return;
    }
    this.#decision = exchange.decision;
    this.#status = exchange.status;
    this.#hasFailed = exchange.failure !== null;
    this.#detail = exchange.detail;
    this.#userAgent = exchange.userAgent;
    this.#authority = exchange.authority;
    this.#method = exchange.method;
    this.#forwardedFor = exchange.forwardedFor;
    this.#upstreamHost = exchange.upstreamHost;
    this.#protocol = exchange.protocol;
    this.#isGrpc = exchange.isGrpc;
    this.#grpcStatus = exchange.grpcStatus;
    this.#grpcReceived = exchange.grpcReceived;
    this.#grpcSent = exchange.grpcSent;
    this.bytes = Buffer.from(tailText(exchange), 'utf8');
  }
}

/** Bytes that a line takes at most, without its tail: three texts whose every character may be escaped, and the rest. */
export const LINE_START_MAX = 6 * (PATH_MAX + REQUEST_ID_MAX + TRACE_MAX) + 512;

/**
 * Writes the line of a finished exchange, whose tail is up to date.
 *
 * @param now  monotonic milliseconds
 * @param out  has `LINE_START_MAX` bytes and the tail's from `at`
 * @returns the offset after the line
 */
export function writeAccessLine(exchange: Exchange, now: number, out: Buffer, at: number): number {
  const durationMs = now - exchange.startedAt;
  let end = putBytes(out, at, START);
  end = putTimestamp(out, end, exchange.startedMs);
  end = putText(out, putBytes(out, end, PATH), exchange.path, PATH_MAX);
  end = putNumber(out, putBytes(out, end, RECEIVED), exchange.bytesReceived);
  end = putNumber(out, putBytes(out, end, SENT), exchange.bytesSent);
  end = putNumber(out, putBytes(out, end, DURATION), Math.round(durationMs));
  end = putNumber(out, putBytes(out, end, DURATION_US), Math.round(durationMs * 1000));
  end = putBytes(out, end, SERVICE_TIME);
  if (exchange.respondedAt > 0 && exchange.requestedAt > 0 && exchange.respondedAt >= exchange.requestedAt) {
    end = putNumber(out, end, Math.round(exchange.respondedAt - exchange.requestedAt));
  } else {
    end = putBytes(out, end, NULL);
  }
  end = putText(out, putBytes(out, end, REQUEST_ID), exchange.requestId, REQUEST_ID_MAX);
  end = putText(out, putBytes(out, end, TRACE), exchange.traceparent, TRACE_MAX);
  if (exchange.decision === null) {
    end = putBytes(out, end, NO_DECISION_ID);
  } else {
    end = putNumber(out, putBytes(out, end, DECISION_ID), exchange.sequence, 36);
    out[end++] = QUOTE;
  }
  return end + exchange.logTail.bytes.copy(out, end);
}

/** The line of a connection that was refused or ended before it carried a request. */
export function refusalLine(connection: Pick<Connection, 'logFields'>, failure: Failure, detail: string, nowMs: number): string {
  return (
    `{"start_time":"${timestamp(nowMs)}","method":null,"path":null,"protocol":null,"response_code":0` +
    `,"response_flags":"${FAILURES[failure].flag}","response_code_details":${jsonText(detail === '' ? failure : `${failure}[${detail}]`)},` +
    connection.logFields +
    `,"verdict":"failed","reason":"${failure}","detail":${jsonTextOrNull(detail)}}\n`
  );
}

/** The part of a line that a connection gives to each of its requests. */
export function connectionLogFields(connection: {
  readonly peerAddress: string;
  readonly peerPort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly listener: string;
  readonly sni: string | null;
  readonly sourcePrincipal: string | null;
  readonly destinationPrincipal: string | null;
  readonly upstreamCluster: string;
}): string {
  const principal = (id: string | null): string => (id === null ? 'null' : jsonText(id));
  return (
    `"upstream_cluster":${jsonText(connection.upstreamCluster)},"downstream_local_address":"${address(connection.localAddress, connection.localPort)}"` +
    `,"downstream_remote_address":"${address(connection.peerAddress, connection.peerPort)}"` +
    `,"requested_server_name":${connection.sni === null ? 'null' : jsonText(connection.sni)},"listener":${jsonText(connection.listener)}` +
    `,"source_principal":${principal(connection.sourcePrincipal)},"destination_principal":${principal(connection.destinationPrincipal)}`
  );
}

function address(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function tailText(exchange: Exchange): string {
  const { decision, failure } = exchange;
  return (
    `,"method":${jsonTextOrNull(exchange.method)},"protocol":"${exchange.protocol}"` +
    `,"response_code":${exchange.status},"response_flags":"${failure === null ? '-' : FAILURES[failure].flag}"` +
    `,"response_code_details":${details(exchange)},"x_forwarded_for":${jsonTextOrNull(exchange.forwardedFor)}` +
    `,"user_agent":${jsonTextOrNull(exchange.userAgent, 512)},"authority":${jsonTextOrNull(exchange.authority)}` +
    `,"upstream_host":${jsonTextOrNull(exchange.upstreamHost)},${grpcText(exchange)}` +
    exchange.connection.logFields +
    `,"verdict":"${exchange.verdict}","reason":${failure === null ? 'null' : `"${failure}"`}` +
    (decision === null
      ? ',"decision":null,"policy":null,"rule":null,"policy_revision":null'
      : `,"decision":"${decision.effect}","decision_code":"${decision.code}"` +
        `,"policy":${decision.policy === null ? 'null' : jsonText(decision.policy)}` +
        `,"rule":${decision.rule === null ? 'null' : jsonText(decision.rule)},"policy_revision":"${decision.revision}"`) +
    ',"mode":"enforce"}\n'
  );
}

/** Of a gRPC call, what it ended with and how many messages passed each way; nothing of other exchanges. */
function grpcText(exchange: Exchange): string {
  if (!exchange.isGrpc) return '';
  const status = exchange.grpcStatus < 0 ? 'null' : String(exchange.grpcStatus);
  return `"grpc_status":${status},"grpc_messages_received":${exchange.grpcReceived},"grpc_messages_sent":${exchange.grpcSent},`;
}

function details(exchange: Exchange): string {
  const { decision, failure } = exchange;
  if (failure === null) return exchange.detail === '' ? '"via_upstream"' : jsonText(`via_upstream[${exchange.detail}]`);
  if ((failure === 'denied_by_policy' || failure === 'revoked') && decision !== null) {
    return jsonText(
      `postern_${failure === 'revoked' ? 'revoked' : 'denied'}[${decision.policy ?? decision.code}${decision.rule === null ? '' : `/${decision.rule}`}${exchange.detail === '' ? '' : `;${exchange.detail}`}]`,
    );
  }
  return exchange.detail === '' ? `"${failure}"` : jsonText(`${failure}[${exchange.detail}]`);
}

const QUOTE = 34;
const NO_BYTES = Buffer.alloc(0);
const START = fixedBytes('{"start_time":"');
const PATH = fixedBytes('","path":');
const RECEIVED = fixedBytes(',"bytes_received":');
const SENT = fixedBytes(',"bytes_sent":');
const DURATION = fixedBytes(',"duration":');
const DURATION_US = fixedBytes(',"duration_us":');
const SERVICE_TIME = fixedBytes(',"upstream_service_time":');
const REQUEST_ID = fixedBytes(',"request_id":');
const TRACE = fixedBytes(',"traceparent":');
const NO_DECISION_ID = fixedBytes(',"decision_id":null');
const DECISION_ID = fixedBytes(`,"decision_id":"${PROCESS_TAG}-`);
const NULL = fixedBytes('null');
