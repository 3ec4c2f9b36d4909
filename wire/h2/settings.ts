/**
 * SETTINGS (RFC 9113, section 6.5; RFC 8441, section 3): what the peer told us, and what we tell it. Push is off, header tables
 * and frame sizes stay at their defaults.
 */
import type { H2Fault } from './faults.ts';
import { FRAME, FRAME_HEADER_BYTES, MAX_FRAME_BYTES, readUint32, writeFrameHeader, writeUint32 } from './frames.ts';
import type { H2Limits } from './limits.ts';

export const SETTING = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  enableConnectProtocol: 8,
} as const;

/** The window that every stream and session begins with (RFC 9113, section 6.9.2). */
export const DEFAULT_WINDOW_BYTES = 65_535;

export const MAX_WINDOW_BYTES = 0x7fff_ffff;

/** What the peer wants, at first the defaults. */
export class PeerSettings {
  headerTableBytes = 4096;
  maxConcurrentStreams = UNBOUNDED;
  initialWindowBytes = DEFAULT_WINDOW_BYTES;
  /** The largest payload that we send, though the peer may take more. */
  readonly maxFrameBytes = MAX_FRAME_BYTES;
  maxHeaderListBytes = UNBOUNDED;
  /** It takes extended CONNECT. */
  connectProtocol = false;

  /**
   * Takes the settings in `bytes` from `start` to `end`, a multiple of six bytes, in their order.
   *
   * @param isFromServer  a server may not allow push (RFC 9113, section 6.5.2)
   */
  apply(bytes: Uint8Array, start: number, end: number, isFromServer: boolean): H2Fault | null {
    for (let at = start; at < end; at += 6) {
      const value = readUint32(bytes, at + 2);
      switch (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)) {
        case SETTING.headerTableSize:
          this.headerTableBytes = value;
          break;
        case SETTING.enablePush:
          if (value > 1 || (isFromServer && value === 1)) return 'settings_value';
          break;
        case SETTING.maxConcurrentStreams:
          this.maxConcurrentStreams = value;
          break;
        case SETTING.initialWindowSize:
          if (value > MAX_WINDOW_BYTES) return 'settings_window';
          this.initialWindowBytes = value;
          break;
        case SETTING.maxFrameSize:
          if (value < MAX_FRAME_BYTES || value > 0xff_ffff) return 'settings_value';
          break;
        case SETTING.maxHeaderListSize:
          this.maxHeaderListBytes = value;
          break;
        case SETTING.enableConnectProtocol:
          // RFC 8441, section 3: once offered, it is not taken back.
          if (value > 1 || (this.connectProtocol && value === 0)) return 'settings_value';
          this.connectProtocol = value === 1;
          break;
        default:
      }
    }
    return null;
  }
}

/** Writes our SETTINGS, at most `OWN_SETTINGS_BYTES`; returns the offset after them. */
export function writeOwnSettings(out: Uint8Array, at: number, isServer: boolean, limits: H2Limits): number {
  let end = at + FRAME_HEADER_BYTES;
  end = writeSetting(out, end, SETTING.initialWindowSize, limits.streamWindowBytes);
  end = writeSetting(out, end, SETTING.maxHeaderListSize, limits.headerListBytes);
  if (isServer) {
    end = writeSetting(out, end, SETTING.maxConcurrentStreams, limits.concurrentStreams);
    end = writeSetting(out, end, SETTING.enableConnectProtocol, 1);
  } else {
    end = writeSetting(out, end, SETTING.enablePush, 0);
  }
  writeFrameHeader(out, at, end - at - FRAME_HEADER_BYTES, FRAME.settings, 0, 0);
  return end;
}

export const OWN_SETTINGS_BYTES = FRAME_HEADER_BYTES + 5 * 6;

function writeSetting(out: Uint8Array, at: number, setting: number, value: number): number {
  out[at] = 0;
  out[at + 1] = setting;
  return writeUint32(out, at + 2, value);
}

const UNBOUNDED = 0xffff_ffff;
