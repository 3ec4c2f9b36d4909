/**
 * Cases of llhttp's own suite that llhttp takes in its strict mode and the codec refuses, each with its reason. A case is named by
 * its place in the vectors and by the end of its title.
 */

export interface StricterRefusal {
  /** Index in `llhttp/cases.json`. */
  readonly index: number;
  /** End of the case's title, so that a new order of the vectors is noticed. */
  readonly title: string;
  /** `WIRE_FAULTS` code that is answered. */
  readonly code: string;
  readonly reason: string;
}

export const STRICTER_THAN_LLHTTP: readonly StricterRefusal[] = [
  { index: 87, title: 'SOURCE request with ICE', code: 'start_line', reason: 'ICE is not HTTP; a sidecar forwards HTTP only' },
  { index: 88, title: 'OPTIONS request with RTSP', code: 'start_line', reason: 'RTSP is not HTTP' },
  { index: 89, title: 'ANNOUNCE request with RTSP', code: 'method', reason: 'RTSP is not HTTP, and neither is its method' },
  {
    index: 115,
    title: 'No HTTP version',
    code: 'start_line',
    reason: 'HTTP/0.9 has no fields: no Host, no identity and no framing could be told to the app',
  },
  {
    index: 143,
    title: 'POST with `chunked` as last transfer-encoding',
    code: 'transfer_coding',
    reason:
      'a coding that is forwarded but not decoded is read differently by different apps; RFC 9112, section 6.1 lets us answer 501',
  },
  {
    index: 144,
    title: 'POST with `chunked` as last transfer-encoding (multiple headers)',
    code: 'transfer_coding',
    reason: 'the same over two fields',
  },
  {
    index: 180,
    title: 'HTTP 304 with Content-Length',
    code: 'start_line',
    reason:
      'an empty line before a response: RFC 9112, section 2.2 tolerates it before requests only, and bytes between responses are how responses are crossed',
  },
  { index: 182, title: 'HTTP 100 first, then 400', code: 'start_line', reason: 'an empty line before a response' },
  { index: 220, title: 'Should parse multiple events', code: 'start_line', reason: 'an empty line before a response' },
  { index: 222, title: 'RTSP response', code: 'start_line', reason: 'RTSP is not HTTP' },
  { index: 223, title: 'ICE response', code: 'start_line', reason: 'ICE is not HTTP' },
  { index: 238, title: 'HTTP version 0.9', code: 'version', reason: 'no such response exists: HTTP/0.9 has no status line' },
  { index: 240, title: 'Response starting with CRLF', code: 'start_line', reason: 'an empty line before a response' },
  {
    index: 242,
    title: '`chunked` before other transfer-encoding',
    code: 'transfer_encoding',
    reason: 'a response whose framing is in doubt is 502 and not a body until close',
  },
  {
    index: 243,
    title: 'multiple transfer-encoding where chunked is not the last one',
    code: 'transfer_encoding',
    reason: 'a response whose framing is in doubt',
  },
  {
    index: 244,
    title: '`chunkedchunked` transfer-encoding does not enable chunked enconding',
    code: 'transfer_coding',
    reason: 'a coding that is not served',
  },
];
