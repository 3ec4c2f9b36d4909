import { describe, expect, test } from 'vitest';

import { ERROR_CODE } from './error-codes.ts';
import { H2_FAULTS } from './faults.ts';
import {
  fixedPart,
  FLAG,
  FRAME,
  FRAME_HEADER_BYTES,
  frameHeaderFault,
  MAX_FRAME_BYTES,
  PREFACE,
  readUint31,
  readUint32,
  writeFrameHeader,
  writeUint32,
} from './frames.ts';
import { boundedLimits, DEFAULT_H2_LIMITS } from './limits.ts';
import { OWN_SETTINGS_BYTES, PeerSettings, SETTING, writeOwnSettings } from './settings.ts';

test('a frame header is nine bytes: length, type, flags, stream', () => {
  const out = Buffer.alloc(12);
  expect(writeFrameHeader(out, 2, 0x012345, FRAME.headers, FLAG.endHeaders, 0x7fff_fffd)).toBe(2 + FRAME_HEADER_BYTES);
  expect(out.toString('hex')).toBe('00000123450104' + '7ffffffd' + '00');
});

test('the preface is that of RFC 9113, section 3.4', () => {
  expect(PREFACE.toString('hex')).toBe('505249202a20485454502f322e300d0a0d0a534d0d0a0d0a');
});

test('numbers of 32 and 31 bits are read as they are written', () => {
  const out = Buffer.alloc(4);
  for (const value of [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
    writeUint32(out, 0, value);
    expect(readUint32(out, 0)).toBe(value);
    expect(readUint31(out, 0)).toBe(value % 0x8000_0000);
  }
});

describe('frameHeaderFault()', () => {
  test.each([
    { why: 'any type above the largest size', length: MAX_FRAME_BYTES + 1, type: 99, flags: 0, stream: 0, fault: 'frame_size' },
    { why: 'DATA without a stream', length: 1, type: FRAME.data, flags: 0, stream: 0, fault: 'frame_stream' },
    { why: 'HEADERS without a stream', length: 1, type: FRAME.headers, flags: 0, stream: 0, fault: 'frame_stream' },
    { why: 'padded DATA that is empty', length: 0, type: FRAME.data, flags: FLAG.padded, stream: 1, fault: 'frame_size' },
    {
      why: 'HEADERS shorter than its priority',
      length: 4,
      type: FRAME.headers,
      flags: FLAG.priority,
      stream: 1,
      fault: 'frame_size',
    },
    { why: 'RST_STREAM of 3 bytes', length: 3, type: FRAME.rstStream, flags: 0, stream: 1, fault: 'frame_size' },
    { why: 'RST_STREAM without a stream', length: 4, type: FRAME.rstStream, flags: 0, stream: 0, fault: 'frame_stream' },
    { why: 'SETTINGS on a stream', length: 0, type: FRAME.settings, flags: 0, stream: 1, fault: 'frame_stream' },
    { why: 'SETTINGS of 5 bytes', length: 5, type: FRAME.settings, flags: 0, stream: 0, fault: 'frame_size' },
    {
      why: 'a SETTINGS acknowledgement with content',
      length: 6,
      type: FRAME.settings,
      flags: FLAG.ack,
      stream: 0,
      fault: 'frame_size',
    },
    { why: 'PUSH_PROMISE', length: 4, type: FRAME.pushPromise, flags: 0, stream: 1, fault: 'push' },
    { why: 'PING of 7 bytes', length: 7, type: FRAME.ping, flags: 0, stream: 0, fault: 'frame_size' },
    { why: 'PING on a stream', length: 8, type: FRAME.ping, flags: 0, stream: 3, fault: 'frame_stream' },
    { why: 'GOAWAY of 7 bytes', length: 7, type: FRAME.goaway, flags: 0, stream: 0, fault: 'frame_size' },
    { why: 'WINDOW_UPDATE of 5 bytes', length: 5, type: FRAME.windowUpdate, flags: 0, stream: 0, fault: 'frame_size' },
    { why: 'PRIORITY without a stream', length: 5, type: FRAME.priority, flags: 0, stream: 0, fault: 'frame_stream' },
  ])('refuses $why', ({ length, type, flags, stream, fault }) => {
    expect(frameHeaderFault(length, type, flags, stream)).toBe(fault);
  });

  test.each([
    { why: 'DATA of the largest size', length: MAX_FRAME_BYTES, type: FRAME.data, flags: 0, stream: 1 },
    { why: 'PRIORITY of another size, which is its stream’s error', length: 4, type: FRAME.priority, flags: 0, stream: 1 },
    { why: 'a type that nobody knows', length: 0, type: 200, flags: 255, stream: 5 },
    { why: 'padded HEADERS with a priority', length: 6, type: FRAME.headers, flags: FLAG.padded | FLAG.priority, stream: 1 },
  ])('takes $why', ({ length, type, flags, stream }) => {
    expect(frameHeaderFault(length, type, flags, stream)).toBeNull();
  });

  test('the part before the content has the padding’s length and the priority', () => {
    expect(fixedPart(FRAME.headers, FLAG.padded | FLAG.priority)).toBe(6);
    expect(fixedPart(FRAME.data, FLAG.padded | FLAG.priority)).toBe(1);
    expect(fixedPart(FRAME.continuation, 255)).toBe(0);
  });
});

describe('PeerSettings', () => {
  test.each([
    { why: 'a window of 2^31', setting: SETTING.initialWindowSize, value: 0x8000_0000, fault: 'settings_window' },
    { why: 'frames below the smallest size', setting: SETTING.maxFrameSize, value: 16_383, fault: 'settings_value' },
    { why: 'frames above the largest size', setting: SETTING.maxFrameSize, value: 0x100_0000, fault: 'settings_value' },
    { why: 'push of 2', setting: SETTING.enablePush, value: 2, fault: 'settings_value' },
    { why: 'push from a server', setting: SETTING.enablePush, value: 1, fault: 'settings_value' },
    { why: 'extended CONNECT of 2', setting: SETTING.enableConnectProtocol, value: 2, fault: 'settings_value' },
  ])('refuses $why', ({ setting, value, fault }) => {
    expect(new PeerSettings().apply(entry(setting, value), 0, 6, true)).toBe(fault);
  });

  test('takes what it knows, the last of each, and passes over what it does not', () => {
    const bytes = Buffer.concat([
      entry(SETTING.initialWindowSize, 1),
      entry(0xfafa, 7),
      entry(SETTING.initialWindowSize, 2),
      entry(SETTING.maxConcurrentStreams, 3),
      entry(SETTING.enableConnectProtocol, 1),
    ]);
    const settings = new PeerSettings();
    expect(settings.apply(bytes, 0, bytes.length, true)).toBeNull();
    expect(settings).toMatchObject({ initialWindowBytes: 2, maxConcurrentStreams: 3, connectProtocol: true });
    expect(settings.apply(entry(SETTING.enableConnectProtocol, 0), 0, 6, true)).toBe('settings_value');
  });

  test.each([true, false])('takes what we write ourselves (as server: %s)', (isServer) => {
    const out = Buffer.alloc(OWN_SETTINGS_BYTES);
    const end = writeOwnSettings(out, 0, isServer, DEFAULT_H2_LIMITS);
    const settings = new PeerSettings();
    expect(frameHeaderFault(end - FRAME_HEADER_BYTES, out[3] ?? 0, out[4] ?? 0, 0)).toBeNull();
    expect(settings.apply(out, FRAME_HEADER_BYTES, end, isServer)).toBeNull();
    expect(settings.initialWindowBytes).toBe(DEFAULT_H2_LIMITS.streamWindowBytes);
    expect(settings.maxHeaderListBytes).toBe(16_384);
  });
});

test('limits beyond what the decoder has room for are cut to it', () => {
  expect(boundedLimits(DEFAULT_H2_LIMITS)).toBe(DEFAULT_H2_LIMITS);
  expect(boundedLimits({ ...DEFAULT_H2_LIMITS, headerListBytes: 1e9 })).toMatchObject({ headerListBytes: 65_536 });
});

test('every flood ends the session calmly, and no fault has a code that does not exist', () => {
  const codes: readonly number[] = Object.values(ERROR_CODE);
  for (const [name, row] of Object.entries(H2_FAULTS)) {
    expect(codes).toContain(row.code);
    if (name.startsWith('too_many')) expect(row).toEqual({ code: ERROR_CODE.enhanceYourCalm, endsSession: true });
  }
});

function entry(setting: number, value: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUInt16BE(setting, 0);
  bytes.writeUInt32BE(value, 2);
  return bytes;
}
