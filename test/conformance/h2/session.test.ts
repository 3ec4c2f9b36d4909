/** Windows, and the ends that a session may come to (RFC 9113, sections 5.2, 6.8 and 6.9). */
import { describe, expect, test } from 'vitest';

import { ERROR_CODE } from '#wire/h2/error-codes.ts';
import { FLAG, FRAME, PREFACE } from '#wire/h2/frames.ts';
import { SETTING } from '#wire/h2/settings.ts';

import * as raw from './raw-peer.ts';
import { answer, client, data, feed, frame, GET, headers, number, outputOf, POST, server, settings } from './raw-peer.ts';

describe('windows', () => {
  test('grow only by what is consumed', () => {
    const { session, recorder } = server({ streamWindowBytes: 65_535, sessionWindowBytes: 65_535 });
    recorder.consumes = false;
    feed(session, headers(1, POST, FLAG.endHeaders));
    for (let sent = 0; sent < 4; sent++) feed(session, data(1, Buffer.alloc(16_000)));
    expect(outputOf(session)).toBeNull();
    const stream = recorder.streams.get(1);
    if (stream === undefined) throw new Error('Cannot find the stream');
    session.consumed(stream, 40_000);
    expect(raw.describe(outputOf(session))).toEqual(['WINDOW_UPDATE 1 40000', 'WINDOW_UPDATE 0 40000']);
    session.consumed(stream, 1e9);
    expect(stream.unconsumed).toBe(0);
  });

  test.each([
    { why: 'a stream’s', session: 1_000_000, stream: 65_535, fault: null, event: 'reset 1 stream_window_overdrawn' },
    { why: 'the session’s', session: 65_535, stream: 1_000_000, fault: 'window_overdrawn', event: 'reset 1 window_overdrawn' },
  ])('overdrawing $why is a fault', ({ session: sessionWindowBytes, stream: streamWindowBytes, fault, event }) => {
    const { session, recorder } = server({ streamWindowBytes, sessionWindowBytes });
    recorder.consumes = false;
    feed(session, headers(1, POST, FLAG.endHeaders));
    let found: string | null = null;
    for (let sent = 0; sent < 5; sent++) found ??= feed(session, data(1, Buffer.alloc(16_000)));
    expect(found).toBe(fault);
    expect(recorder.events.at(-1)).toBe(event);
  });

  test('of the session are given back when a stream ends unread', () => {
    const { session, recorder } = server({ streamWindowBytes: 65_535, sessionWindowBytes: 65_535 });
    recorder.consumes = false;
    for (let id = 1; id < 40; id += 2) {
      feed(session, headers(id, POST, FLAG.endHeaders), data(id, Buffer.alloc(16_000)), data(id, Buffer.alloc(16_000)));
      expect(feed(session, frame(FRAME.rstStream, 0, id, number(ERROR_CODE.cancel)))).toBeNull();
    }
    expect(session.isDead).toBe(false);
  });

  test.each([
    { why: 'a stream’s beyond 2^31-1', bytes: frame(FRAME.windowUpdate, 0, 1, number(0x7fff_ffff)), fault: null },
    { why: 'the session’s beyond 2^31-1', bytes: frame(FRAME.windowUpdate, 0, 0, number(0x7fff_ffff)), fault: 'window_overflow' },
    { why: 'the session’s by nothing', bytes: frame(FRAME.windowUpdate, 0, 0, number(0)), fault: 'window_increment' },
    { why: 'those of streams nobody opened', bytes: frame(FRAME.windowUpdate, 0, 9, number(1)), fault: 'stream_idle' },
  ])('may not be opened: $why', ({ bytes, fault }) => {
    const { session, recorder } = server();
    expect(feed(session, headers(1, POST, FLAG.endHeaders), bytes)).toBe(fault);
    expect(recorder.events.at(-1)).toBe(`reset 1 ${fault ?? 'stream_window_overflow'}`);
  });

  test('of padding are given back at once', () => {
    const { session, recorder } = server({ streamWindowBytes: 65_535, sessionWindowBytes: 65_535 });
    recorder.consumes = false;
    feed(session, headers(1, POST, FLAG.endHeaders));
    const padded = frame(FRAME.data, FLAG.padded, 1, Buffer.concat([Buffer.of(255), Buffer.alloc(256)]));
    for (let sent = 0; sent < 1000; sent++) expect(feed(session, padded)).toBeNull();
    expect(recorder.events.filter((event) => event.startsWith('data'))).toHaveLength(1000);
  });
});

describe('a frame that may not be', () => {
  test.each([
    { why: 'an acknowledgement before any SETTINGS', bytes: Buffer.concat([PREFACE, raw.SETTINGS_ACK]), fault: 'preface' },
    { why: 'a PING before any SETTINGS', bytes: Buffer.concat([PREFACE, frame(FRAME.ping, 0, 0, 'abcdefgh')]), fault: 'preface' },
    { why: 'something else than the preface', bytes: Buffer.from('GET / HTTP/1.1\r\n\r\n'), fault: 'preface' },
    {
      why: 'DATA with more padding than payload',
      bytes: Buffer.concat([raw.HELLO, headers(1, POST, FLAG.endHeaders), frame(FRAME.data, FLAG.padded, 1, Buffer.of(2, 0))]),
      fault: 'frame_padding',
    },
    {
      why: 'HEADERS with more padding than payload',
      bytes: Buffer.concat([raw.HELLO, frame(FRAME.headers, FLAG.padded | FLAG.endHeaders, 1, Buffer.of(3, 0x82))]),
      fault: 'frame_padding',
    },
    {
      why: 'CONTINUATION without HEADERS',
      bytes: Buffer.concat([raw.HELLO, frame(FRAME.continuation, 4, 1)]),
      fault: 'frame_unexpected',
    },
    { why: 'a stream of the server’s', bytes: Buffer.concat([raw.HELLO, headers(2, GET)]), fault: 'stream_id' },
    {
      why: 'an id that was passed over',
      bytes: Buffer.concat([raw.HELLO, headers(5, GET), headers(3, GET)]),
      fault: 'stream_id',
    },
  ])('ends the session: $why', ({ bytes, fault }) => {
    expect(server({}, bytes).session.fault).toBe(fault);
  });
});

describe('the end of a session', () => {
  test('is announced, then said, and streams finish', () => {
    const { session, recorder } = server();
    recorder.onHead = () => undefined;
    feed(session, headers(1, POST, FLAG.endHeaders));
    session.shutdown();
    session.shutdown();
    expect(raw.describe(outputOf(session))).toEqual(['GOAWAY 2147483647 0', 'PING']);
    feed(session, headers(3, GET));
    feed(session, frame(FRAME.ping, FLAG.ack, 0, 'postern\0'));
    expect(raw.describe(outputOf(session))).toEqual(['GOAWAY 3 0']);
    feed(session, headers(5, GET));
    expect(recorder.streams.has(5)).toBe(false);
    expect(session.isDrained).toBe(false);
    recorder.streams.forEach((stream) => answer(session, stream, 'x'));
    feed(session, data(1, '', FLAG.endStream));
    expect(session.isDrained).toBe(true);
    expect(recorder.events).toContain('end 1');
  });

  test('is said after a second, whether the PING is answered or not', () => {
    const { session } = server();
    session.shutdown();
    outputOf(session);
    session.tick(900);
    expect(outputOf(session)).toBeNull();
    session.tick(1000);
    expect(raw.describe(outputOf(session))).toEqual(['GOAWAY 0 0']);
    expect(session.isDrained).toBe(true);
  });

  test('by the server gives back what it did not look at', () => {
    const { session, recorder } = client();
    for (let count = 0; count < 3; count++) session.open('', 'GET');
    feed(session, frame(FRAME.goaway, 0, 0, Buffer.concat([number(3), number(ERROR_CODE.noError)])));
    expect(recorder.events).toEqual([`reset 5 ${ERROR_CODE.refusedStream}`, 'goaway 3 0']);
    expect(session.canOpen).toBe(false);
    expect(session.openStreams).toBe(2);
    feed(session, headers(1, [[':status', '204']]), headers(3, [[':status', '204']]));
    expect(session.openStreams).toBe(2);
  });

  test.each([
    { why: 'no SETTINGS come', hello: PREFACE, atMs: 5000, fault: 'preface_timeout' },
    { why: 'ours are not acknowledged', hello: Buffer.concat([PREFACE, settings()]), atMs: 10_000, fault: 'settings_timeout' },
    {
      why: 'a header block stays open',
      hello: Buffer.concat([raw.HELLO, headers(1, GET, 0)]),
      atMs: 10_000,
      fault: 'header_block_timeout',
    },
  ])('comes when $why', ({ hello, atMs, fault }) => {
    const { session } = server({}, hello);
    expect(session.tick(atMs - 1)).toBeNull();
    expect(session.tick(atMs)).toBe(fault);
    expect(raw.describe(outputOf(session)).at(-1)).toMatch(/^GOAWAY/);
  });

  test('comes when a PING is not answered', () => {
    const { session } = server();
    session.ping();
    session.ping();
    expect(raw.describe(outputOf(session))).toEqual(['PING']);
    expect(session.tick(9999)).toBeNull();
    feed(session, frame(FRAME.ping, FLAG.ack, 0, 'postern\0'));
    expect(session.tick(20_000)).toBeNull();
    session.ping();
    expect(session.tick(30_000)).toBe('ping_timeout');
  });

  test('tells every stream', () => {
    const { session, recorder } = server();
    feed(session, headers(1, POST, FLAG.endHeaders), headers(3, POST, FLAG.endHeaders));
    expect(feed(session, frame(FRAME.ping, 0, 0, 'short'))).toBe('frame_size');
    expect(recorder.events.slice(-2)).toEqual(['reset 1 frame_size', 'reset 3 frame_size']);
    expect(raw.describe(outputOf(session))).toEqual(['GOAWAY 3 6']);
    expect(feed(session, headers(5, GET))).toBe('frame_size');
    expect(outputOf(session)).toBeNull();
  });

  test('a stream whose peer opens no window is broken off, one that is idle only when asked for', () => {
    const { session, recorder } = server({ streamIdleMs: 90_000 });
    feed(session, settings([[SETTING.initialWindowSize, 0]]), headers(1, GET), headers(3, POST, FLAG.endHeaders));
    const stream = recorder.streams.get(1);
    if (stream !== undefined) session.sendData(stream, Buffer.from('x'), 0, 1);
    session.tick(59_999);
    expect(session.openStreams).toBe(2);
    // As long as our own socket is full, it is not the peer's window that is waited for.
    session.hold();
    session.tick(60_000);
    expect(session.openStreams).toBe(2);
    session.release();
    session.tick(60_000);
    expect(recorder.events.at(-1)).toBe('reset 1 stream_stalled');
    session.tick(90_000);
    expect(recorder.events.at(-1)).toBe('reset 3 stream_idle_timeout');
  });
});
