/**
 * Names of fields by number and numbers by name: a name in the bytes becomes a `FIELD` id without a string being made.
 *
 * Hot path.
 */

import { LOWER } from './characters.ts';
import { FIELD } from './head.ts';
import type { FieldId } from './head.ts';

/** The name of each `FIELD` in lower case; that of `unknown` is empty. */
export const FIELD_NAMES: Readonly<Record<keyof typeof FIELD, string>> = {
  unknown: '',
  host: 'host',
  connection: 'connection',
  contentLength: 'content-length',
  transferEncoding: 'transfer-encoding',
  te: 'te',
  trailer: 'trailer',
  upgrade: 'upgrade',
  expect: 'expect',
  keepAlive: 'keep-alive',
  proxyConnection: 'proxy-connection',
  proxyAuthenticate: 'proxy-authenticate',
  proxyAuthorization: 'proxy-authorization',
  http2Settings: 'http2-settings',
  forwarded: 'forwarded',
  xForwardedFor: 'x-forwarded-for',
  xForwardedHost: 'x-forwarded-host',
  xForwardedProto: 'x-forwarded-proto',
  xForwardedPort: 'x-forwarded-port',
  xForwardedClientCert: 'x-forwarded-client-cert',
  xRealIp: 'x-real-ip',
  xRequestId: 'x-request-id',
  traceparent: 'traceparent',
  tracestate: 'tracestate',
  baggage: 'baggage',
  authorization: 'authorization',
  cookie: 'cookie',
  contentType: 'content-type',
  userAgent: 'user-agent',
  via: 'via',
  date: 'date',
  server: 'server',
  setCookie: 'set-cookie',
  clientCert: 'client-cert',
  clientCertChain: 'client-cert-chain',
  xPosternReason: 'x-postern-reason',
  xPosternDecisionId: 'x-postern-decision-id',
  xEnvoyPeerMetadata: 'x-envoy-peer-metadata',
  xEnvoyPeerMetadataId: 'x-envoy-peer-metadata-id',
  grpcTimeout: 'grpc-timeout',
  age: 'age',
  xForwardedPrefix: 'x-forwarded-prefix',
  xOriginalUrl: 'x-original-url',
  xRewriteUrl: 'x-rewrite-url',
  xOriginalHost: 'x-original-host',
};

/** The id of the name at `start` to `end`, `FIELD.unknown` for every other name. Case does not matter. */
export function fieldId(bytes: Uint8Array, start: number, end: number): FieldId {
  const length = end - start;
  let known = BUCKETS[bucketOf(length, bytes[start] ?? 0, bytes[end - 1] ?? 0)];
  while (known !== undefined) {
    if (equalsName(bytes, start, end, known.name)) return known.id;
    known = known.next;
  }
  return FIELD.unknown;
}

/** Whether the bytes from `start` to `end` spell `name`, which is given in lower case; case does not matter. */
export function equalsName(bytes: Uint8Array, start: number, end: number, name: Uint8Array): boolean {
  const length = name.length;
  if (end - start !== length) return false;
  for (let index = 0; index < length; index++) {
    if (LOWER[bytes[start + index] ?? 0] !== name[index]) return false;
  }
  return true;
}

/** A lower-case name as bytes, for `equalsName`. */
export function nameBytes(name: string): Uint8Array {
  return Uint8Array.from(Buffer.from(name.toLowerCase(), 'latin1'));
}

interface KnownName {
  readonly id: FieldId;
  readonly name: Uint8Array;
  readonly next: KnownName | undefined;
}

function bucketOf(length: number, first: number, last: number): number {
  return ((length << 3) ^ ((first & 31) << 5) ^ (last & 31)) & 1023;
}

const BUCKETS: (KnownName | undefined)[] = Array.from({ length: 1024 }, () => undefined);

for (const [key, text] of Object.entries(FIELD_NAMES)) {
  if (text === '') continue;
  const name = nameBytes(text);
  const bucket = bucketOf(name.length, name[0] ?? 0, name[name.length - 1] ?? 0);
  // The keys of FIELD_NAMES are by its type those of FIELD; Object.entries only forgets it.
  BUCKETS[bucket] = { id: FIELD[key as keyof typeof FIELD], name, next: BUCKETS[bucket] };
}
