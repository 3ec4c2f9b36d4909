/** Makes the flow record of an exchange: what it was judged by, as of then. */
import { createHash } from 'node:crypto';
import { FLOW_SCHEMA, type FlowRecord } from '#proto/flow-record.ts';
import type { Exchange } from '../exchange.ts';
import { SECRET_FIELDS } from './secret-fields.ts';
import { timestamp } from './timestamp.ts';

/** The workload whose sidecar this is. */
export interface FlowWorkload {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly principal: string | null;
}

/** @param nowAt  monotonic milliseconds */
export function flowRecord(exchange: Exchange, workload: FlowWorkload, nowAt: number): FlowRecord {
  const { connection, decision } = exchange;
  const { attributes } = connection;
  return {
    schema: FLOW_SCHEMA,
    at: timestamp(exchange.startedMs),
    decisionId: decision === null ? null : exchange.decisionId(),
    requestId: exchange.requestId === '' ? null : exchange.requestId,
    traceparent: exchange.traceparent === '' ? null : exchange.traceparent,
    direction: connection.direction,
    source: {
      principal: attributes.principal,
      ip: attributes.sourceIp,
      remoteIp: exchange.remoteIp === '' ? attributes.remoteIp : exchange.remoteIp,
    },
    destination: {
      principal: workload.principal,
      namespace: workload.namespace,
      workload: workload.name,
      labels: workload.labels,
      ip: attributes.destinationIp,
      port: attributes.destinationPort,
    },
    connection: { protocol: attributes.protocol, tls: attributes.tls, sni: attributes.sni },
    request:
      exchange.path === ''
        ? null
        : {
            method: exchange.method,
            authority: exchange.authority,
            path: exchange.path,
            fields: exchange.readFields.map(([name, value]) => [name, SECRET_FIELDS.has(name) ? hashed(value) : value] as const),
          },
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
    status: exchange.status,
    bytesReceived: exchange.bytesReceived,
    bytesSent: exchange.bytesSent,
    durationUs: Math.round((nowAt - exchange.startedAt) * 1000),
  };
}

function hashed(value: string): string {
  return `sha256:${createHash('sha256').update(value, 'latin1').digest('hex')}`;
}
