/** The flow record of a raw TCP connection: what it was judged by, as of then. */
import { FLOW_SCHEMA, type FlowRecord } from '#proto/flow-record.ts';
import type { TcpExchange } from '../tcp/tcp-exchange.ts';
import type { FlowWorkload } from './flow-line.ts';
import { timestamp } from './timestamp.ts';

/** @param nowAt  monotonic milliseconds */
export function tcpFlowRecord(exchange: TcpExchange, workload: FlowWorkload, nowAt: number): FlowRecord {
  const { connection, decision } = exchange;
  const { attributes } = connection;
  return {
    schema: FLOW_SCHEMA,
    at: timestamp(exchange.startedMs),
    decisionId: decision === null ? null : exchange.decisionId(),
    requestId: null,
    traceparent: null,
    direction: connection.direction,
    source: { principal: attributes.principal, ip: attributes.sourceIp, remoteIp: attributes.remoteIp },
    destination: {
      principal: workload.principal,
      namespace: workload.namespace,
      workload: workload.name,
      labels: workload.labels,
      ip: attributes.destinationIp,
      port: attributes.destinationPort,
    },
    connection: { protocol: 'tcp', tls: attributes.tls, sni: attributes.sni },
    request: null,
    decision:
      decision === null
        ? null
        : {
            effect: decision.effect,
            code: decision.code,
            policy: decision.policy,
            rule: decision.rule,
            revision: decision.revision,
          },
    verdict: exchange.verdict,
    failure: exchange.failure,
    status: 0,
    bytesReceived: exchange.bytesReceived,
    bytesSent: exchange.bytesSent,
    durationUs: Math.round((nowAt - exchange.startedAt) * 1000),
  };
}
