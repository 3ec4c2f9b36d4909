/** Which failure a fault of HTTP/2 is, and how a reset reads in the log. */
import { ERROR_CODE } from '#wire/h2/error-codes.ts';
import type { H2Fault } from '#wire/h2/faults.ts';
import type { Failure } from '../failure.ts';

/** Of a request that was refused before it became a stream. */
export function refusalFailure(fault: H2Fault): Failure {
  switch (fault) {
    case 'authority':
      return 'bad_authority';
    case 'path':
    case 'scheme':
      return 'bad_path';
    case 'method':
      return 'bad_method';
    case 'fields_too_large':
      return 'head_too_large';
    case 'field_expect':
      return 'expectation_failed';
    case 'field_name':
    case 'field_value':
    case 'field_forbidden':
      return 'bad_field';
    case 'stream_refused':
      return 'http2_fault';
    default:
      return 'bad_request';
  }
}

/** Of a stream that was broken off for the caller's fault. */
export function streamFailure(fault: H2Fault): Failure {
  switch (fault) {
    case 'content_length':
    case 'message_order':
      return 'bad_body';
    default:
      return 'http2_fault';
  }
}

/** What the log says of a stream that the caller gave up. */
export function resetDetail(code: number): string {
  return RESETS[code] ?? 'reset';
}

const RESETS: readonly string[] = Object.entries(ERROR_CODE).map(
  ([name]) => `reset_${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`,
);
