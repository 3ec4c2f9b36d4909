/**
 * Every bound that a peer of an HTTP/2 session meets, by name. Counts are over `windowMs`; what counts is told by each, and when
 * one is passed the session ends with the `H2_FAULTS` entry beside it. `useful` frames, those that open a stream or carry data,
 * allow a peer more of the frames that go with them.
 */
import type { FieldLimits } from './hpack/decoded-fields.ts';
import { MAX_BLOCK_BYTES, MAX_HEADER_LIST_BYTES } from './hpack/decoded-fields.ts';

export interface H2Limits extends FieldLimits {
  /** Streams that the peer may have open: SETTINGS_MAX_CONCURRENT_STREAMS. One more is refused. */
  readonly concurrentStreams: number;
  /** Decoded size of a field section: SETTINGS_MAX_HEADER_LIST_SIZE. `fields_too_large` */
  readonly headerListBytes: number;
  /** Fields of a section, each cookie crumb by itself. `fields_too_large` */
  readonly headerFields: number;
  /** Encoded bytes of a block over all its frames. `header_block_too_large` */
  readonly headerBlockBytes: number;
  /** CONTINUATION frames of one block. `too_many_continuations` */
  readonly continuationFrames: number;
  /** SETTINGS_INITIAL_WINDOW_SIZE: bytes of a stream that may be under way and not yet consumed. */
  readonly streamWindowBytes: number;
  /** The same for all streams together. */
  readonly sessionWindowBytes: number;
  /** Bytes that wait for the peer's windows or for the socket, all streams together. `queue_too_large` */
  readonly queuedBytes: number;
  /** The time over which the following are counted, milliseconds. */
  readonly windowMs: number;
  /** Streams that the peer reset before they were complete, and one more for every five that went well. `too_many_resets` */
  readonly peerResets: number;
  /** Streams that we had to reset for a fault of the peer's, malformed and refused ones included. `too_many_stream_faults` */
  readonly streamFaults: number;
  /** Frames without content that end nothing: DATA and CONTINUATION. `too_many_empty_frames` */
  readonly emptyFrames: number;
  /** SETTINGS, acknowledgements that answer nothing included. `too_many_settings` */
  readonly settings: number;
  /** PING, acknowledgements that answer nothing included, and one more for each useful frame. `too_many_pings` */
  readonly pings: number;
  /** WINDOW_UPDATE, and ten more for each useful frame of either side. `too_many_window_updates` */
  readonly windowUpdates: number;
  /** PRIORITY, and two more for each useful frame. `too_many_priorities` */
  readonly priorities: number;
  /**
   * Frames of types that we do not know, and one more for each useful frame; counted apart, any but DATA on streams that are over, and two
   * more. `too_many_unknown_frames`
   */
  readonly unknownFrames: number;
  /** From the first byte of the connection to the first SETTINGS. `preface_timeout` */
  readonly prefaceMs: number;
  /** From our SETTINGS to their acknowledgement. `settings_timeout` */
  readonly settingsMs: number;
  /** From HEADERS to the last of its CONTINUATION. `header_block_timeout` */
  readonly headerBlockMs: number;
  /** From our PING to its answer. `ping_timeout` */
  readonly pingMs: number;
  /** A stream that has something to send and whose peer opens no window; 0 for no such limit. `stream_stalled` */
  readonly streamStallMs: number;
  /** A stream on which nothing moves in either direction; 0 for no such limit. `stream_idle_timeout` */
  readonly streamIdleMs: number;
}

export const DEFAULT_H2_LIMITS: H2Limits = {
  concurrentStreams: 100,
  headerListBytes: 16_384,
  headerFields: 100,
  headerBlockBytes: 32_768,
  continuationFrames: 16,
  streamWindowBytes: 262_144,
  sessionWindowBytes: 1_048_576,
  // One read of 64 KiB for each of 100 streams, which is what may come before an upstream stops, and frames beside it.
  queuedBytes: 8_388_608,
  windowMs: 10_000,
  peerResets: 100,
  streamFaults: 100,
  emptyFrames: 100,
  settings: 16,
  pings: 100,
  windowUpdates: 1000,
  priorities: 200,
  unknownFrames: 100,
  prefaceMs: 5000,
  settingsMs: 10_000,
  headerBlockMs: 10_000,
  pingMs: 10_000,
  streamStallMs: 60_000,
  streamIdleMs: 0,
};

/** The same limits, none above what the decoder has room for. */
export function boundedLimits(limits: H2Limits): H2Limits {
  const { headerListBytes, headerBlockBytes } = limits;
  if (headerListBytes <= MAX_HEADER_LIST_BYTES && headerBlockBytes <= MAX_BLOCK_BYTES) return limits;
  return {
    ...limits,
    headerListBytes: Math.min(headerListBytes, MAX_HEADER_LIST_BYTES),
    headerBlockBytes: Math.min(headerBlockBytes, MAX_BLOCK_BYTES),
  };
}
