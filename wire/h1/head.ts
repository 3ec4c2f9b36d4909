/**
 * What a parsed HTTP/1.x head is: the bytes as they came, and a table of ranges into them. Nothing is copied and no string is
 * made until somebody asks; a head is valid only until the buffer that it points into is reused. The HTTP/2 decoder will fill
 * the same table from its own scratch bytes, so that what decides and forwards does not know the protocol.
 */

/** Fields that the data path acts on, by number; `unknown` is every other name. Compare `FieldTable.ids[i]` with these. */
export const FIELD = {
  unknown: 0,
  host: 1,
  connection: 2,
  contentLength: 3,
  transferEncoding: 4,
  te: 5,
  trailer: 6,
  upgrade: 7,
  expect: 8,
  keepAlive: 9,
  proxyConnection: 10,
  proxyAuthenticate: 11,
  proxyAuthorization: 12,
  http2Settings: 13,
  forwarded: 14,
  xForwardedFor: 15,
  xForwardedHost: 16,
  xForwardedProto: 17,
  xForwardedPort: 18,
  xForwardedClientCert: 19,
  xRealIp: 20,
  xRequestId: 21,
  traceparent: 22,
  tracestate: 23,
  baggage: 24,
  authorization: 25,
  cookie: 26,
  contentType: 27,
  userAgent: 28,
  via: 29,
  date: 30,
  server: 31,
  setCookie: 32,
  clientCert: 33,
  clientCertChain: 34,
  xPosternReason: 35,
  xPosternDecisionId: 36,
  xEnvoyPeerMetadata: 37,
  xEnvoyPeerMetadataId: 38,
  grpcTimeout: 39,
  age: 40,
  xForwardedPrefix: 41,
  xOriginalUrl: 42,
  xRewriteUrl: 43,
  xOriginalHost: 44,
} as const;

export type FieldId = (typeof FIELD)[keyof typeof FIELD];

/** How the body that follows a head ends (RFC 9112, section 6.3). */
export const FRAMING = { none: 0, length: 1, chunked: 2, untilClose: 3 } as const;

export type Framing = (typeof FRAMING)[keyof typeof FRAMING];

/** The most fields that a table can hold whatever the limits say. */
export const MAX_FIELDS = 512;

/** Field lines of one head: four offsets and an id each, in order of arrival. Reused from head to head. */
export class FieldTable {
  count = 0;
  /** nameStart, nameEnd, valueStart, valueEnd of field `i` at `4 * i`. Values are without surrounding blanks. */
  readonly ranges = new Int32Array(4 * MAX_FIELDS);
  /** A `FIELD` number for each field. */
  readonly ids = new Uint8Array(MAX_FIELDS);
  /** Set by whoever filters: a field with 1 here is not forwarded. Zeroed by the parser. */
  readonly dropped = new Uint8Array(MAX_FIELDS);
  /** True when any field name holds an underscore. */
  hasUnderscore = false;
}

/** What both kinds of head share. Filled by `parseRequestHead` and `parseResponseHead`. */
export class MessageHead {
  bytes: Buffer = EMPTY;
  /** First byte of the start line. */
  start = 0;
  /** First byte of the first field line. */
  fieldsStart = 0;
  /** The byte after the empty line that ends the head. */
  end = 0;
  /** The digit after `HTTP/1.`: 0 or 1. */
  minor = 1;
  readonly fields = new FieldTable();
  framing: Framing = FRAMING.none;
  /** Bytes of the body when `framing` is `length`, else 0. */
  contentLength = 0;
  /** Whether the connection may carry another message after this one, by version and Connection (RFC 9112, section 9.3). */
  isPersistent = true;
  /** `Connection` named something beside close and keep-alive: its options must be read. */
  hasConnectionOptions = false;
  /** An Upgrade field is there. */
  hasUpgrade = false;
}

/** A parsed request head. */
export class RequestHead extends MessageHead {
  /** The method as text; the common ones are interned. */
  method = '';
  targetStart = 0;
  targetEnd = 0;
  /** Index of the only Host field, -1 without one; two are a fault only of meaning: see `hostCount`. */
  hostIndex = -1;
  hostCount = 0;
  /** `Expect: 100-continue` is there; any other expectation is a fault. */
  expectsContinue = false;
}

/** A parsed response head. `framing` is what the head says; HEAD, CONNECT, 1xx, 204 and 304 are applied by the parser. */
export class ResponseHead extends MessageHead {
  status = 0;
  reasonStart = 0;
  reasonEnd = 0;
}

/** Bounds of one head. */
export interface HeadLimits {
  /** Bytes from the first of the start line to the last of the empty line. */
  readonly headBytes: number;
  readonly fields: number;
}

export const DEFAULT_HEAD_LIMITS: HeadLimits = { headBytes: 16_384, fields: 100 };

/**
 * Why bytes are not a message. The text is the `code` that `postern http parse` and the access log show.
 * A parser returns `-(index + 1)` for the fault at `index` here, 0 when it needs more bytes, else the offset after what it read.
 */
export const WIRE_FAULTS = [
  'method',
  'target',
  'version',
  'start_line',
  'field_name',
  'field_value',
  'field_whitespace',
  'line_folding',
  'line_end',
  'head_too_large',
  'too_many_fields',
  'content_length',
  'transfer_encoding',
  'framing_conflict',
  'expectation',
  'connection_option',
  'status',
  'chunk_size',
  'chunk_extension',
  'chunk_extension_too_large',
  'chunk_data_end',
  'trailer',
  'trailers_too_large',
  'data_after_close',
  'transfer_coding',
] as const;

export type WireFault = (typeof WIRE_FAULTS)[number];

/** The fault that a negative parser result stands for. */
export function wireFault(result: number): WireFault {
  return WIRE_FAULTS[-result - 1] ?? 'start_line';
}

const EMPTY = Buffer.alloc(0);
