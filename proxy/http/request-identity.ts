/**
 * Gives a request its id and tells the app who calls. From a trusted forwarder the request's own id, `x-forwarded-for` and
 * `x-forwarded-client-cert` are continued; from anybody else they are ours alone. Hot path.
 */
import { isIP } from 'node:net';
import type { RequestHead } from '#wire/h1/head.ts';
import type { Exchange } from '../exchange.ts';
import { continuedFields } from './forwarded-fields.ts';
import { noteFacts } from './head-facts.ts';
import { newRequestId } from './request-id.ts';

export function identifyRequest(exchange: Exchange, head: RequestHead): void {
  const { connection } = exchange;
  const isTrusted = connection.isTrustedForwarder;
  const keepsId = isTrusted || connection.direction === 'outbound';
  noteFacts(head, exchange, keepsId);
  if (exchange.requestId === '') {
    exchange.requestId = newRequestId();
    exchange.addedFields += `x-request-id: ${exchange.requestId}\r\n`;
  }
  if (connection.direction === 'outbound') return;
  if (!isTrusted) {
    exchange.forwardedFor = connection.peerAddress;
    return;
  }
  const said = exchange.forwardedFor;
  exchange.addedFields += continuedFields(connection.peerAddress, connection.clientCertElement, said, exchange.saidClientCert);
  const last = said.slice(said.lastIndexOf(',') + 1).trim();
  // The forwarder itself wrote the last element: the client that it saw.
  if (isIP(last) !== 0) exchange.remoteIp = last;
  exchange.forwardedFor = said === '' ? connection.peerAddress : `${said},${connection.peerAddress}`;
}
