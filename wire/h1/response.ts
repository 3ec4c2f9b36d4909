/**
 * The head of an HTTP/1.x response (RFC 9112, sections 4 to 6), as strict as that of a request: an upstream is not believed
 * more than a caller. How the body ends is settled here from method, status and fields together (RFC 9112, section 6.3).
 *
 * Hot path: no allocation.
 */

import { CR, LF, SP, TEXT } from './characters.ts';
import { FAULT } from './faults.ts';
import { parseFieldLines } from './field-lines.ts';
import { FRAMING, MAX_FIELDS } from './head.ts';
import type { HeadLimits, ResponseHead } from './head.ts';
import { incomplete, parseVersion } from './start-line.ts';

/**
 * Parses a response head in `bytes` from `start`, looking at no byte at or after `end`.
 *
 * `Content-Length: 0` is framing `length`; framing `none` is left for responses that by rule have no body (to HEAD, 1xx, 204, 304,
 * and 2xx to CONNECT), whatever length they name. A 101 has framing `none` too: what follows is the caller's to refuse.
 *
 * @param requestMethod  method of the request that this answers
 * @returns the offset after the head, 0 when it needs more bytes, or a negative fault (`wireFault`)
 */
export function parseResponseHead(
  bytes: Buffer,
  start: number,
  end: number,
  head: ResponseHead,
  limits: HeadLimits,
  requestMethod: string,
): number {
  const bound = start + limits.headBytes;
  const limit = end < bound ? end : bound;
  const maxFields = limits.fields < MAX_FIELDS ? limits.fields : MAX_FIELDS;
  head.bytes = bytes;
  head.start = start;
  head.framing = FRAMING.none;
  head.contentLength = 0;
  head.hasUpgrade = false;

  const version = parseVersion(bytes, start, limit);
  if (version <= 0) return version < 0 ? version : incomplete(start, end, limits.headBytes);
  head.minor = version - 1;
  let index = start + 8;
  if (index >= limit) return incomplete(start, end, limits.headBytes);
  if (bytes[index] !== SP) return FAULT.startLine;
  index++;

  let status = 0;
  for (let digits = 0; digits < 3; digits++) {
    if (index >= limit) return incomplete(start, end, limits.headBytes);
    const digit = (bytes[index] ?? 0) - 48;
    if (digit < 0 || digit > 9) return FAULT.status;
    status = status * 10 + digit;
    index++;
  }
  if (status < 100 || status > 599) return FAULT.status;
  head.status = status;

  if (index >= limit) return incomplete(start, end, limits.headBytes);
  let byte = bytes[index] ?? 0;
  // The blank is due even before an empty reason (RFC 9112, section 4), but senders leave it out; no reading of it is ambiguous.
  if (byte !== SP && byte !== CR) return byte === LF ? FAULT.lineEnd : FAULT.status;
  if (byte === SP) index++;
  head.reasonStart = index;
  for (;;) {
    if (index >= limit) return incomplete(start, end, limits.headBytes);
    byte = bytes[index] ?? 0;
    if (TEXT[byte] === 0) break;
    index++;
  }
  head.reasonEnd = index;
  if (byte !== CR) return byte === LF ? FAULT.lineEnd : FAULT.startLine;
  if (index + 1 >= limit) return incomplete(start, end, limits.headBytes);
  if (bytes[index + 1] !== LF) return FAULT.lineEnd;
  index += 2;
  head.fieldsStart = index;

  const after = parseFieldLines(bytes, index, limit, head.fields, maxFields, head, null);
  if (after === 0) return incomplete(start, end, limits.headBytes);
  if (after < 0) return after;
  if (status < 200 && status !== 101) {
    const fault = interimFault(head);
    if (fault < 0) return fault;
  }
  head.end = after;
  settleFraming(head, status, requestMethod);
  return after;
}

/** An interim response that is to be the last one, or that frames a body, is no interim response (RFC 9110, section 15.2). */
function interimFault(head: ResponseHead): number {
  if (!head.isPersistent) return FAULT.status;
  return head.framing === FRAMING.chunked || head.contentLength > 0 ? FAULT.framingConflict : 0;
}

function settleFraming(head: ResponseHead, status: number, requestMethod: string): void {
  const isBodiless = status < 200 || status === 204 || status === 304 || requestMethod === 'HEAD';
  if (isBodiless || (requestMethod === 'CONNECT' && status < 300)) {
    head.framing = FRAMING.none;
    head.contentLength = 0;
  } else if (head.framing === FRAMING.none) {
    head.framing = FRAMING.untilClose;
    head.isPersistent = false;
  }
}
