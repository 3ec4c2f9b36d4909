/**
 * The disposition of every field that the data path knows, and of the families that it knows by prefix. Read as a table; the
 * filters in fields.ts act on it.
 *
 * Hot path.
 */

import { LOWER } from '#wire/h1/characters.ts';
import { nameBytes } from '#wire/h1/field-names.ts';
import { FIELD } from '#wire/h1/head.ts';

/** Bits of a rule. */
export const FIELD_RULE = {
  /** Never forwarded in a request: hop-by-hop, framing, or written by us. */
  dropped: 1,
  /** Forwarded in a request from a trusted forwarder only. */
  untrusted: 2,
  /** Connection may not name it, no name with `_` may shadow it, no trailer may be it. */
  protected: 4,
  /** Never forwarded in a response. */
  response: 8,
  /** A second one is refused in a request. */
  singleton: 16,
  /** Means nothing, or too much, in a trailer section. */
  trailer: 32,
  /** Says what a sidecar of ours found: not for an app to say. */
  ours: 64,
} as const;

/** The rule of a `FIELD`, 0 for one that simply passes. */
export function ruleOf(id: number): number {
  return RULES[id] ?? 0;
}

/** The rule of the family that an unknown name belongs to, 0 for none. Reads `_` as `-` only where `bytes` were folded before. */
export function prefixRule(bytes: Uint8Array, start: number, end: number): number {
  if ((bytes[start] ?? 0) !== 120 && bytes[start] !== 88) return 0;
  if (startsWith(bytes, start, end, FORWARDED)) return FIELD_RULE.untrusted | FIELD_RULE.protected;
  if (startsWith(bytes, start, end, POSTERN)) return FIELD_RULE.dropped | FIELD_RULE.protected | FIELD_RULE.ours;
  if (startsWith(bytes, start, end, METADATA)) return METADATA_RULE;
  return 0;
}

function startsWith(bytes: Uint8Array, start: number, end: number, prefix: Uint8Array): boolean {
  if (end - start < prefix.length) return false;
  for (let index = 1; index < prefix.length; index++) {
    const byte = bytes[start + index] ?? 0;
    if (LOWER[byte] !== prefix[index]) return false;
  }
  return true;
}

const FORWARDED = nameBytes('x-forwarded-');
const POSTERN = nameBytes('x-postern-');
const METADATA = nameBytes('x-envoy-peer-metadata');
const METADATA_RULE = FIELD_RULE.dropped | FIELD_RULE.protected | FIELD_RULE.response;

/** Fields of one connection only; Connection may name them, and they end here both ways. */
const HOP_BY_HOP = FIELD_RULE.dropped | FIELD_RULE.response | FIELD_RULE.trailer;
/** Where a message ends is written by us and by nobody else. */
const FRAMES = FIELD_RULE.dropped | FIELD_RULE.response | FIELD_RULE.protected;
/** Told by a forwarder about the original request. */
const FORWARDING = FIELD_RULE.untrusted | FIELD_RULE.protected;
/** Told by us about the caller. */
const IDENTITY = FIELD_RULE.dropped | FIELD_RULE.protected;

const RULES = new Uint8Array(256);
RULES[FIELD.host] = FIELD_RULE.protected;
RULES[FIELD.connection] = HOP_BY_HOP;
RULES[FIELD.contentLength] = FRAMES;
RULES[FIELD.transferEncoding] = FRAMES;
RULES[FIELD.te] = FIELD_RULE.response | FIELD_RULE.trailer;
RULES[FIELD.trailer] = FIELD_RULE.trailer;
RULES[FIELD.upgrade] = HOP_BY_HOP;
RULES[FIELD.expect] = FIELD_RULE.dropped | FIELD_RULE.protected;
RULES[FIELD.keepAlive] = HOP_BY_HOP;
RULES[FIELD.proxyConnection] = HOP_BY_HOP;
RULES[FIELD.proxyAuthenticate] = HOP_BY_HOP;
RULES[FIELD.proxyAuthorization] = HOP_BY_HOP | FIELD_RULE.protected;
RULES[FIELD.http2Settings] = HOP_BY_HOP;
RULES[FIELD.forwarded] = FORWARDING;
RULES[FIELD.xForwardedFor] = IDENTITY;
RULES[FIELD.xForwardedHost] = FORWARDING;
RULES[FIELD.xForwardedProto] = FORWARDING;
RULES[FIELD.xForwardedPort] = FORWARDING;
RULES[FIELD.xForwardedPrefix] = FORWARDING;
RULES[FIELD.xForwardedClientCert] = IDENTITY;
RULES[FIELD.clientCert] = IDENTITY;
RULES[FIELD.clientCertChain] = IDENTITY;
RULES[FIELD.xRealIp] = FORWARDING;
RULES[FIELD.xOriginalUrl] = FORWARDING;
RULES[FIELD.xRewriteUrl] = FORWARDING;
RULES[FIELD.xOriginalHost] = FORWARDING;
RULES[FIELD.xRequestId] = FORWARDING;
RULES[FIELD.authorization] = FIELD_RULE.protected | FIELD_RULE.singleton;
RULES[FIELD.cookie] = FIELD_RULE.protected;
RULES[FIELD.setCookie] = FIELD_RULE.trailer;
RULES[FIELD.contentType] = FIELD_RULE.singleton | FIELD_RULE.trailer;
RULES[FIELD.xPosternReason] = IDENTITY | FIELD_RULE.ours;
RULES[FIELD.xPosternDecisionId] = IDENTITY | FIELD_RULE.ours;
RULES[FIELD.xEnvoyPeerMetadata] = METADATA_RULE;
RULES[FIELD.xEnvoyPeerMetadataId] = METADATA_RULE;
