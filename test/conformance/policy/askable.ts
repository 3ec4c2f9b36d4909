/** What of a made-up input can be asked over a real connection. */
import type { AuthzInput, ConnectionAttributes } from '#authz/engine/input.ts';
import { canonicalPath } from '#proxy/http/path.ts';
import { attributesOf } from '#test/peers/envoy-rbac.ts';
import type { OracleRequest } from '#test/peers/envoy-rbac.ts';

import { METHODS } from './goldens.ts';

/** With an address that a socket can have, or null. */
export function askableConnection(connection: ConnectionAttributes): ConnectionAttributes | null {
  const { destinationIp, remoteIp, sni } = connection;
  const sourceIp = connection.sourceIp.startsWith('127.') ? connection.sourceIp : '127.0.0.1';
  if (!IPV4.test(destinationIp) || !IPV4.test(remoteIp) || (sni !== null && !/^[a-z0-9.-]+$/i.test(sni))) return null;
  if (connection.principal !== null && /[^\x21-\x7e]/.test(connection.principal)) return null;
  return { ...connection, sourceIp, tls: connection.principal !== null || sni !== null };
}

/** What the engine sees of it. */
export function inputOf(connection: ConnectionAttributes, request: OracleRequest | null): AuthzInput {
  if (request === null) return { connection, request: null };
  return { connection, request: attributesOf(request, canonicalPath(request.rawPath, 'base') ?? '') };
}

/** The request as bytes would carry it, or null where no client could send it. */
export function askableRequest(input: AuthzInput): OracleRequest | null {
  const { request } = input;
  if (request === null) return null;
  const rawPath = request.path;
  if (!rawPath.startsWith('/') || canonicalPath(rawPath, 'base') === null || /[^\x21-\x7e]|#|\?/.test(rawPath)) return null;
  if (
    !METHODS.includes(request.method) ||
    !/^[a-z0-9._-]+(?::[0-9]+)?$/.test(request.authority) ||
    request.authority.endsWith('.')
  )
    return null;
  const headers = HEADERS.flatMap((name) => request.fields.values(name).map((value) => [name, value] as const));
  if (headers.some(([, value]) => /[^\x20-\x7e]|^ | $/.test(value))) return null;
  return { method: request.method, host: request.authority, rawPath, headers, token: request.tokens[0] ?? null };
}

const HEADERS = ['x-header', 'x-abc', 'x-a', 'x-b'];
const IPV4 = /^\d+\.\d+\.\d+\.\d+$/;
