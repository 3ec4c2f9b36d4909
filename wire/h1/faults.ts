/** The parsers' negative results by name; see `WIRE_FAULTS` for what each means. */

import { WIRE_FAULTS } from './head.ts';
import type { WireFault } from './head.ts';

function resultOf(fault: WireFault): number {
  return -(WIRE_FAULTS.indexOf(fault) + 1);
}

export const FAULT = {
  method: resultOf('method'),
  target: resultOf('target'),
  version: resultOf('version'),
  startLine: resultOf('start_line'),
  fieldName: resultOf('field_name'),
  fieldValue: resultOf('field_value'),
  fieldWhitespace: resultOf('field_whitespace'),
  lineFolding: resultOf('line_folding'),
  lineEnd: resultOf('line_end'),
  headTooLarge: resultOf('head_too_large'),
  tooManyFields: resultOf('too_many_fields'),
  contentLength: resultOf('content_length'),
  transferEncoding: resultOf('transfer_encoding'),
  transferCoding: resultOf('transfer_coding'),
  framingConflict: resultOf('framing_conflict'),
  expectation: resultOf('expectation'),
  connectionOption: resultOf('connection_option'),
  status: resultOf('status'),
  chunkSize: resultOf('chunk_size'),
  chunkExtension: resultOf('chunk_extension'),
  chunkExtensionTooLarge: resultOf('chunk_extension_too_large'),
  chunkDataEnd: resultOf('chunk_data_end'),
  trailer: resultOf('trailer'),
  trailersTooLarge: resultOf('trailers_too_large'),
} as const;
