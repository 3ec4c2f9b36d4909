/**
 * Frames as bytes (RFC 9113, sections 4.1 and 6; RFC 9218 and extensions are unknown types): numbers, the sizes that types have,
 * and writers. A writer needs room and returns the offset after what it wrote.
 *
 * Hot path.
 */
import type { H2Fault } from './faults.ts';

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const FLAG = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

/** Length, type, flags and stream identifier. */
export const FRAME_HEADER_BYTES = 9;

/** The largest payload that we take, and the largest that every peer takes: SETTINGS_MAX_FRAME_SIZE is left at its default. */
export const MAX_FRAME_BYTES = 16_384;

/** What a client sends first (RFC 9113, section 3.4). */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** The fault of a frame by what its header alone says, or null. Called before any of its payload is kept. */
export function frameHeaderFault(length: number, type: number, flags: number, streamId: number): H2Fault | null {
  if (length > MAX_FRAME_BYTES) return 'frame_size';
  switch (type) {
    case FRAME.data:
    case FRAME.headers:
    case FRAME.continuation:
      if (streamId === 0) return 'frame_stream';
      return length < fixedPart(type, flags) ? 'frame_size' : null;
    case FRAME.priority:
      // Another length than 5 is an error of the stream.
      return streamId === 0 ? 'frame_stream' : null;
    case FRAME.rstStream:
      if (streamId === 0) return 'frame_stream';
      return length === 4 ? null : 'frame_size';
    case FRAME.settings:
      if (streamId !== 0) return 'frame_stream';
      if ((flags & FLAG.ack) !== 0) return length === 0 ? null : 'frame_size';
      return length % 6 === 0 ? null : 'frame_size';
    case FRAME.pushPromise:
      return 'push';
    case FRAME.ping:
      if (streamId !== 0) return 'frame_stream';
      return length === 8 ? null : 'frame_size';
    case FRAME.goaway:
      if (streamId !== 0) return 'frame_stream';
      return length >= 8 ? null : 'frame_size';
    case FRAME.windowUpdate:
      return length === 4 ? null : 'frame_size';
    default:
      return null;
  }
}

/** Bytes before the content of a DATA or HEADERS payload: the padding's length and the priority. */
export function fixedPart(type: number, flags: number): number {
  if (type === FRAME.continuation) return 0;
  const padding = (flags & FLAG.padded) === 0 ? 0 : 1;
  return type === FRAME.headers && (flags & FLAG.priority) !== 0 ? padding + 5 : padding;
}

export function writeFrameHeader(
  out: Uint8Array,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  out[at] = length >>> 16;
  out[at + 1] = length >>> 8;
  out[at + 2] = length;
  out[at + 3] = type;
  out[at + 4] = flags;
  return writeUint32(out, at + 5, streamId);
}

export function writeUint32(out: Uint8Array, at: number, value: number): number {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
  return at + 4;
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return readUint31(bytes, at) + ((bytes[at] ?? 0) >= 128 ? 0x8000_0000 : 0);
}

/** A number whose first bit is reserved and ignored. */
export function readUint31(bytes: Uint8Array, at: number): number {
  return (((bytes[at] ?? 0) & 127) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}
