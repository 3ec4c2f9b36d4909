/**
 * The access log's line of a raw TCP connection, written once at its end: Istio's keys as Istio fills them for TCP, then ours, with
 * the reason of the end.
 */
import { FAILURES } from '../failure.ts';
import type { TcpExchange } from '../tcp/tcp-exchange.ts';
import { jsonText, jsonTextOrNull } from './json-text.ts';
import { timestamp } from './timestamp.ts';

/** @param now  monotonic milliseconds */
export function tcpLine(exchange: TcpExchange, now: number): string {
  const { decision, failure, connection } = exchange;
  const durationMs = now - exchange.startedAt;
  const details = failure === null ? 'null' : detailsText(exchange);
  return (
    `{"start_time":"${timestamp(exchange.startedMs)}","method":null,"path":null,"protocol":null,"response_code":0` +
    `,"response_flags":"${failure === null ? '-' : FAILURES[failure].flag}","response_code_details":null` +
    `,"connection_termination_details":${details},"bytes_received":${exchange.bytesReceived},"bytes_sent":${exchange.bytesSent}` +
    `,"duration":${Math.round(durationMs)},"duration_us":${Math.round(durationMs * 1000)},"upstream_service_time":null` +
    `,"request_id":null,"x_forwarded_for":null,"user_agent":null,"authority":null` +
    `,"upstream_host":${jsonTextOrNull(exchange.upstreamHost)},` +
    connection.logFields +
    `,"verdict":"${exchange.verdict}","reason":${failure === null ? 'null' : `"${failure}"`}` +
    `,"detail":${jsonTextOrNull(exchange.detail)},"close_reason":"${exchange.closeReason}"` +
    (decision === null
      ? ',"decision_id":null,"decision":null,"policy":null,"rule":null,"policy_revision":null'
      : `,"decision_id":"${exchange.decisionId()}","decision":"${decision.effect}","decision_code":"${decision.code}"` +
        `,"policy":${decision.policy === null ? 'null' : jsonText(decision.policy)}` +
        `,"rule":${decision.rule === null ? 'null' : jsonText(decision.rule)},"policy_revision":"${decision.revision}"`) +
    ',"mode":"enforce"}\n'
  );
}

function detailsText({ decision, failure, detail }: TcpExchange): string {
  if (failure === 'denied_by_policy' && decision !== null) {
    return jsonText(`postern_denied[${decision.policy ?? decision.code}${decision.rule === null ? '' : `/${decision.rule}`}]`);
  }
  return jsonText(detail === '' ? String(failure) : `${failure}[${detail}]`);
}
