/**
 * What makes a request over HTTP/2 a gRPC call: its content type, the deadline that it asks for, its messages as they pass and the
 * status that it ends with. The messages themselves are never looked into. Hot path.
 */
import type { Trailers } from '#wire/h1/chunked.ts';
import { parseFieldLines } from '#wire/h1/field-lines.ts';
import { FIELD, type RequestHead, type ResponseHead } from '#wire/h1/head.ts';
import { writeText } from '#wire/h1/serialise.ts';
import { Trailers as TrailerSection } from '#wire/h1/chunked.ts';
import { isGrpcContentType } from '#wire/grpc/content-type.ts';
import { MessageScanner, SCAN } from '#wire/grpc/message-scanner.ts';
import { findGrpcStatus } from '#wire/grpc/status.ts';
import { grpcTimeoutText, parseGrpcTimeout } from '#wire/grpc/timeout.ts';
import type { Exchange } from '../exchange.ts';
import { FAILURES, type Failure } from '../failure.ts';
import { grpcMessage } from './reply.ts';

export class GrpcCall {
  /** The exchange is a call; else nothing here means anything. */
  isCall = false;
  /** How long it may take, 0 for no end. */
  timeoutMs = 0;
  readonly #request = new MessageScanner();
  readonly #response = new MessageScanner();

  /**
   * Looks at a head before it is carried. A deadline that asks for more than `mostMs` (0 is no bound) is forwarded as that.
   *
   * @returns what is wrong with it, or null
   */
  begin(head: RequestHead, exchange: Exchange, mostMs: number): Failure | null {
    const { bytes, fields } = head;
    const { count, ids, ranges } = fields;
    this.isCall = false;
    this.timeoutMs = mostMs;
    let timeout = -1;
    let hasTwo = false;
    for (let index = 0; index < count; index++) {
      const id = ids[index];
      if (id === FIELD.contentType) {
        this.isCall = isGrpcContentType(bytes, ranges[(index << 2) + 2] ?? 0, ranges[(index << 2) + 3] ?? 0);
      } else if (id === FIELD.grpcTimeout) {
        hasTwo = timeout >= 0;
        timeout = index;
      }
    }
    if (!this.isCall) return null;
    exchange.isGrpc = true;
    this.#request.reset();
    this.#response.reset();
    if (timeout < 0) return null;
    const askedMs = hasTwo ? -1 : parseGrpcTimeout(bytes, ranges[(timeout << 2) + 2] ?? 0, ranges[(timeout << 2) + 3] ?? 0);
    if (askedMs < 0) {
      exchange.detail = 'grpc_timeout';
      return 'bad_field';
    }
    if (mostMs > 0 && askedMs > mostMs) {
      fields.dropped[timeout] = 1;
      exchange.addedFields += `grpc-timeout: ${grpcTimeoutText(mostMs)}\r\n`;
    } else {
      this.timeoutMs = Math.max(1, askedMs);
    }
    return null;
  }

  /** Looks at content of the request; what it fails with, or null. */
  requestBody(exchange: Exchange, bytes: Buffer, start: number, end: number, limit: number): Failure | null {
    const found = this.#request.scan(bytes, start, end, limit);
    exchange.grpcReceived = this.#request.messages;
    if (found === SCAN.ok) return null;
    exchange.detail = found === SCAN.tooLarge ? 'request' : 'grpc_framing';
    return found === SCAN.tooLarge ? 'grpc_message_too_large' : 'bad_body';
  }

  /** The same of the response. */
  responseBody(exchange: Exchange, bytes: Buffer, start: number, end: number, limit: number): Failure | null {
    const found = this.#response.scan(bytes, start, end, limit);
    exchange.grpcSent = this.#response.messages;
    if (found === SCAN.ok) return null;
    exchange.detail = found === SCAN.tooLarge ? 'response' : 'grpc_framing';
    return found === SCAN.tooLarge ? 'grpc_message_too_large' : 'upstream_malformed';
  }

  /** Notes the status of a response whose head says it already. */
  responseHead(exchange: Exchange, head: ResponseHead): void {
    exchange.grpcStatus = findGrpcStatus(head.bytes, head.fields);
  }

  responseEnd(exchange: Exchange, trailers: Trailers | null): void {
    if (trailers !== null) exchange.grpcStatus = findGrpcStatus(trailers.bytes, trailers.fields);
  }
}

/** The trailers of a call that fails after its response has begun; valid until the next call of this. */
export function failureTrailers(exchange: Exchange, failure: Failure): Trailers {
  const { bytes, fields } = TRAILERS;
  const decision = exchange.decision === null ? '' : `x-postern-decision-id: ${exchange.decisionId()}\r\n`;
  const text =
    `grpc-status: ${FAILURES[failure].grpc}\r\ngrpc-message: ${grpcMessage(exchange, failure)}\r\n` +
    `x-postern-reason: ${failure}\r\n${decision}\r\n`;
  TRAILERS.end = writeText(bytes, 0, text);
  parseFieldLines(bytes, 0, TRAILERS.end, fields, 4, null, null);
  return TRAILERS;
}

/** More than the longest text of the table with a decision's id. */
const TRAILERS = new TrailerSection(2_048);
