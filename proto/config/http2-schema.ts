/** `spec.limits.http2`: the bounds of one HTTP/2 session (wire/h2/limits.ts), under the names and with the defaults that stand there. */
import { z } from 'zod';

import { DEFAULT_H2_LIMITS } from '#wire/h2/limits.ts';

import { count, duration, size } from './fields.ts';

/** Sizes, counts and deadlines; counts are over `window`. */
export const http2Schema = z.strictObject(
  {
    concurrentStreams: counted(1, 100_000, DEFAULT_H2_LIMITS.concurrentStreams, 'Streams that a peer may have open.'),
    headerList: sized(1_024, DEFAULT_H2_LIMITS.headerListBytes, 'Decoded size of a head.'),
    headerFields: counted(1, 512, DEFAULT_H2_LIMITS.headerFields, 'Fields of a head, each cookie crumb by itself.'),
    headerBlock: sized(1_024, DEFAULT_H2_LIMITS.headerBlockBytes, 'Encoded size of a head, over all its frames.'),
    continuationFrames: counted(0, 1_024, DEFAULT_H2_LIMITS.continuationFrames, 'CONTINUATION frames of one head.'),
    streamWindow: sized(65_535, DEFAULT_H2_LIMITS.streamWindowBytes, 'Content of one stream that may be under way.'),
    sessionWindow: sized(65_535, DEFAULT_H2_LIMITS.sessionWindowBytes, 'Content of all streams that may be under way.'),
    queued: sized(65_536, DEFAULT_H2_LIMITS.queuedBytes, 'Bytes that wait for a peer that takes nothing.'),
    window: timed(DEFAULT_H2_LIMITS.windowMs, 'Time over which the following are counted.'),
    peerResets: counted(1, 1_000_000, DEFAULT_H2_LIMITS.peerResets, 'Streams that the peer resets before they are complete.'),
    streamFaults: counted(1, 1_000_000, DEFAULT_H2_LIMITS.streamFaults, 'Streams that we reset for a fault of the peer.'),
    emptyFrames: counted(1, 1_000_000, DEFAULT_H2_LIMITS.emptyFrames, 'Frames without content that end nothing.'),
    settings: counted(1, 1_000_000, DEFAULT_H2_LIMITS.settings, 'SETTINGS frames.'),
    pings: counted(1, 1_000_000, DEFAULT_H2_LIMITS.pings, 'PING frames, beside one for each useful frame.'),
    windowUpdates: counted(
      1,
      1_000_000,
      DEFAULT_H2_LIMITS.windowUpdates,
      'WINDOW_UPDATE frames, beside ten for each useful frame.',
    ),
    priorities: counted(1, 1_000_000, DEFAULT_H2_LIMITS.priorities, 'PRIORITY frames, beside two for each useful frame.'),
    unknownFrames: counted(
      1,
      1_000_000,
      DEFAULT_H2_LIMITS.unknownFrames,
      'Frames of unknown types, beside one for each useful frame.',
    ),
    preface: timed(DEFAULT_H2_LIMITS.prefaceMs, 'From the first byte of a connection to its first SETTINGS.'),
    settingsAck: timed(DEFAULT_H2_LIMITS.settingsMs, 'From our SETTINGS to their acknowledgement.'),
    openHead: timed(DEFAULT_H2_LIMITS.headerBlockMs, 'From the first frame of a head to its last.'),
    ping: timed(DEFAULT_H2_LIMITS.pingMs, 'From our PING to its answer.'),
    streamStall: timed(DEFAULT_H2_LIMITS.streamStallMs, 'How long a peer may leave content untaken; 0s is no limit.', 0),
    streamIdle: timed(DEFAULT_H2_LIMITS.streamIdleMs, 'Silence of a stream in both directions; 0s is no limit.', 0),
  },
  { error: 'a map of the limits of an HTTP/2 session' },
);

function counted(least: number, most: number, byDefault: number, what: string) {
  return count(least, most).prefault(byDefault).describe(what);
}

function sized(least: number, byDefault: number, what: string) {
  return size(least, 1_073_741_824).prefault(byDefault).describe(what);
}

function timed(byDefaultMs: number, what: string, leastMs = 1) {
  return duration(leastMs).prefault(`${byDefaultMs}ms`).describe(what);
}
