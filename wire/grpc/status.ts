/**
 * How a call ends (gRPC over HTTP/2, "Responses"): `grpc-status` and `grpc-message`, in trailers, or in a head that is all there is
 * (trailers-only). Hot path, but for texts.
 */
import type { FieldTable } from '../h1/head.ts';
import { equalsName, nameBytes } from '../h1/field-names.ts';

/** The `grpc-status` among fields, -1 when there is none or it is no number of at most two digits. */
export function findGrpcStatus(bytes: Buffer, { count, dropped, ids, ranges }: FieldTable): number {
  for (let index = 0; index < count; index++) {
    const entry = index << 2;
    const nameStart = ranges[entry] ?? 0;
    const nameEnd = ranges[entry + 1] ?? 0;
    if (ids[index] !== 0 || dropped[index] !== 0 || nameEnd - nameStart !== NAME.length) continue;
    if (equalsName(bytes, nameStart, nameEnd, NAME)) return statusOf(bytes, ranges[entry + 2] ?? 0, ranges[entry + 3] ?? 0);
  }
  return -1;
}

/** A text as `grpc-message` holds it: what is not printable ASCII, and `%`, percent-encoded from UTF-8. */
export function encodeGrpcMessage(text: string): string {
  let encoded = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== PERCENT
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

function statusOf(bytes: Buffer, start: number, end: number): number {
  if (end === start || end - start > 2) return -1;
  let value = 0;
  for (let index = start; index < end; index++) {
    const digit = (bytes[index] ?? 0) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

const NAME = nameBytes('grpc-status');
const PERCENT = 37;
