/**
 * Everything that a peer can do wrong over HTTP/2, in one table: the code that it is told (RFC 9113, sections 5.4 and 7) and
 * whether its session ends or only the stream. The names are what the log shows.
 */
import { ERROR_CODE } from './error-codes.ts';

export interface H2FaultRow {
  /** An `ERROR_CODE`. */
  readonly code: number;
  /** The session ends; else only the stream does. */
  readonly endsSession: boolean;
}

export const H2_FAULTS = {
  // Framing, sections 3.4, 4 and 6.
  preface: session(ERROR_CODE.protocolError),
  frame_size: session(ERROR_CODE.frameSizeError),
  frame_stream: session(ERROR_CODE.protocolError),
  frame_padding: session(ERROR_CODE.protocolError),
  frame_unexpected: session(ERROR_CODE.protocolError),
  header_block_interrupted: session(ERROR_CODE.protocolError),
  settings_value: session(ERROR_CODE.protocolError),
  settings_window: session(ERROR_CODE.flowControlError),
  push: session(ERROR_CODE.protocolError),
  stream_id: session(ERROR_CODE.protocolError),
  stream_idle: session(ERROR_CODE.protocolError),
  stream_closed: session(ERROR_CODE.streamClosed),
  window_overflow: session(ERROR_CODE.flowControlError),
  window_increment: session(ERROR_CODE.protocolError),
  window_overdrawn: session(ERROR_CODE.flowControlError),
  // HPACK (RFC 7541).
  hpack_index: session(ERROR_CODE.compressionError),
  hpack_integer: session(ERROR_CODE.compressionError),
  hpack_string: session(ERROR_CODE.compressionError),
  hpack_huffman: session(ERROR_CODE.compressionError),
  hpack_table_size: session(ERROR_CODE.compressionError),
  // Floods: the limits of limits.ts.
  too_many_resets: session(ERROR_CODE.enhanceYourCalm),
  too_many_stream_faults: session(ERROR_CODE.enhanceYourCalm),
  too_many_continuations: session(ERROR_CODE.enhanceYourCalm),
  too_many_empty_frames: session(ERROR_CODE.enhanceYourCalm),
  too_many_settings: session(ERROR_CODE.enhanceYourCalm),
  too_many_pings: session(ERROR_CODE.enhanceYourCalm),
  too_many_window_updates: session(ERROR_CODE.enhanceYourCalm),
  too_many_priorities: session(ERROR_CODE.enhanceYourCalm),
  too_many_unknown_frames: session(ERROR_CODE.enhanceYourCalm),
  header_block_too_large: session(ERROR_CODE.enhanceYourCalm),
  queue_too_large: session(ERROR_CODE.enhanceYourCalm),
  // Deadlines.
  preface_timeout: session(ERROR_CODE.protocolError),
  settings_timeout: session(ERROR_CODE.settingsTimeout),
  header_block_timeout: session(ERROR_CODE.enhanceYourCalm),
  ping_timeout: session(ERROR_CODE.noError),
  // Of one stream.
  stream_refused: stream(ERROR_CODE.refusedStream),
  stream_half_closed: stream(ERROR_CODE.streamClosed),
  stream_dependency: stream(ERROR_CODE.protocolError),
  stream_priority_size: stream(ERROR_CODE.frameSizeError),
  stream_window_overflow: stream(ERROR_CODE.flowControlError),
  stream_window_increment: stream(ERROR_CODE.protocolError),
  stream_window_overdrawn: stream(ERROR_CODE.flowControlError),
  stream_stalled: stream(ERROR_CODE.cancel),
  stream_idle_timeout: stream(ERROR_CODE.cancel),
  // Malformed messages, section 8.1.1.
  field_name: stream(ERROR_CODE.protocolError),
  field_value: stream(ERROR_CODE.protocolError),
  field_forbidden: stream(ERROR_CODE.protocolError),
  field_expect: stream(ERROR_CODE.protocolError),
  fields_too_large: stream(ERROR_CODE.enhanceYourCalm),
  pseudo_unknown: stream(ERROR_CODE.protocolError),
  pseudo_repeated: stream(ERROR_CODE.protocolError),
  pseudo_misplaced: stream(ERROR_CODE.protocolError),
  pseudo_missing: stream(ERROR_CODE.protocolError),
  method: stream(ERROR_CODE.protocolError),
  scheme: stream(ERROR_CODE.protocolError),
  path: stream(ERROR_CODE.protocolError),
  authority: stream(ERROR_CODE.protocolError),
  protocol: stream(ERROR_CODE.protocolError),
  status: stream(ERROR_CODE.protocolError),
  content_length: stream(ERROR_CODE.protocolError),
  message_order: stream(ERROR_CODE.protocolError),
} as const satisfies Record<string, H2FaultRow>;

export type H2Fault = keyof typeof H2_FAULTS;

function session(code: number): H2FaultRow {
  return { code, endsSession: true };
}

function stream(code: number): H2FaultRow {
  return { code, endsSession: false };
}
