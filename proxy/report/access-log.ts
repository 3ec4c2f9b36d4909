/**
 * The access log: one JSON object a line with Istio's keys (telemetry_logging.go) and ours behind them. Query, cookies and
 * credentials never stand in it. Hot path.
 */
import { FAILURES } from '../failure.ts';
import type { Exchange } from '../exchange.ts';
import type { Connection } from '../listen/connection.ts';
import type { Failure } from '../failure.ts';
import { jsonText, jsonTextOrNull } from './json-text.ts';
import { timestamp } from './timestamp.ts';

/** The line of a finished exchange. `now` is monotonic milliseconds. */
export function accessLine(exchange: Exchange, now: number): string {
  const { decision, failure } = exchange;
  const durationMs = now - exchange.startedAt;
  const serviceMs = exchange.respondedAt > 0 && exchange.requestedAt > 0 ? exchange.respondedAt - exchange.requestedAt : -1;
  return (
    `{"start_time":"${timestamp(exchange.startedMs)}","method":${jsonTextOrNull(exchange.method)},"path":${jsonTextOrNull(exchange.path)}` +
    `,"protocol":"${exchange.minor === 1 ? 'HTTP/1.1' : 'HTTP/1.0'}","response_code":${exchange.status}` +
    `,"response_flags":"${failure === null ? '-' : FAILURES[failure].flag}","response_code_details":${details(exchange)}` +
    `,"bytes_received":${exchange.bytesReceived},"bytes_sent":${exchange.bytesSent}` +
    `,"duration":${Math.round(durationMs)},"duration_us":${Math.round(durationMs * 1000)}` +
    `,"upstream_service_time":${serviceMs < 0 ? 'null' : Math.round(serviceMs)}` +
    `,"x_forwarded_for":${jsonTextOrNull(exchange.forwardedFor)},"user_agent":${jsonTextOrNull(exchange.userAgent, 512)}` +
    `,"request_id":${jsonTextOrNull(exchange.requestId, 128)},"traceparent":${jsonTextOrNull(exchange.traceparent)}` +
    `,"authority":${jsonTextOrNull(exchange.authority)},"upstream_host":${jsonTextOrNull(exchange.upstreamHost)},` +
    exchange.connection.logFields +
    `,"verdict":"${exchange.verdict}","reason":${failure === null ? 'null' : `"${failure}"`}` +
    (decision === null
      ? ',"decision":null,"decision_id":null,"policy":null,"rule":null,"policy_revision":null'
      : `,"decision":"${decision.effect}","decision_code":"${decision.code}","decision_id":"${exchange.decisionId()}"` +
        `,"policy":${decision.policy === null ? 'null' : jsonText(decision.policy)}` +
        `,"rule":${decision.rule === null ? 'null' : jsonText(decision.rule)},"policy_revision":"${decision.revision}"`) +
    ',"mode":"enforce"}\n'
  );
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

function details(exchange: Exchange): string {
  const { decision, failure } = exchange;
  if (failure === null) return '"via_upstream"';
  if (failure === 'denied_by_policy' && decision !== null) {
    return jsonText(`postern_denied[${decision.policy ?? decision.code}${decision.rule === null ? '' : `/${decision.rule}`}]`);
  }
  return exchange.detail === '' ? `"${failure}"` : jsonText(`${failure}[${exchange.detail}]`);
}
