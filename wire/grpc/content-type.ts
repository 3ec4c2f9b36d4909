/** Tells gRPC from other HTTP by its Content-Type (gRPC over HTTP/2, "Requests"). grpc-web is HTTP of its own kind and not gRPC. */
import { LOWER } from '../h1/characters.ts';
import { nameBytes } from '../h1/field-names.ts';

/** Whether a Content-Type in `bytes` is `application/grpc`, alone or with `+` and a message format or `;` and parameters behind it. */
export function isGrpcContentType(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < GRPC.length) return false;
  for (let index = 0; index < GRPC.length; index++) {
    if (LOWER[bytes[start + index] ?? 0] !== GRPC[index]) return false;
  }
  const next = start + GRPC.length;
  return next === end || bytes[next] === PLUS || bytes[next] === SEMICOLON;
}

const GRPC = nameBytes('application/grpc');
const PLUS = 43;
const SEMICOLON = 59;
