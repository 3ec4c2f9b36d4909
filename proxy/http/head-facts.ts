/** Reads what the log and the forwarded fields need from a filtered head, in one walk over its fields. Hot path. */
import { FIELD, type RequestHead } from '#wire/h1/head.ts';
import type { Exchange } from '../exchange.ts';

/** Notes trace and client facts. `saidFor` and `saidCert` of a trusted forwarder are kept for `continuedFields`. */
export function noteFacts(head: RequestHead, exchange: Exchange, isTrusted: boolean): void {
  const { bytes, fields } = head;
  const { count, ids, ranges } = fields;
  for (let i = 0; i < count; i++) {
    switch (ids[i]) {
      case FIELD.userAgent:
        // Most callers say what the last one said: no string is made for it.
        if (!spells(bytes, ranges[4 * i + 2] ?? 0, ranges[4 * i + 3] ?? 0, lastAgent)) lastAgent = text(bytes, ranges, i);
        exchange.userAgent = lastAgent;
        break;
      case FIELD.traceparent:
        exchange.traceparent = text(bytes, ranges, i);
        break;
      case FIELD.xRequestId:
        if (isTrusted && exchange.requestId === '') exchange.requestId = text(bytes, ranges, i);
        break;
      case FIELD.xForwardedFor:
        if (isTrusted) exchange.forwardedFor = joined(exchange.forwardedFor, text(bytes, ranges, i));
        break;
      case FIELD.xForwardedClientCert:
        if (isTrusted) exchange.saidClientCert = joined(exchange.saidClientCert, text(bytes, ranges, i));
        break;
      default:
    }
  }
}

/** Whether the bytes from `start` to `end` spell `path`. */
export function spells(bytes: Buffer, start: number, end: number, path: string): boolean {
  if (end - start !== path.length) return false;
  for (let i = 0; i < path.length; i++) if (bytes[start + i] !== path.charCodeAt(i)) return false;
  return true;
}

function text(bytes: Buffer, ranges: Int32Array, index: number): string {
  return bytes.toString('latin1', ranges[4 * index + 2] ?? 0, ranges[4 * index + 3] ?? 0);
}

function joined(before: string, next: string): string {
  return before === '' ? next : `${before},${next}`;
}

let lastAgent = '';
