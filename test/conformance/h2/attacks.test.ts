/**
 * What attackers send over HTTP/2 (rapid and made resets, floods of every frame, bombs, crumbs, windows that never open): each ends
 * the session with its fault within a bound of frames, and what the session holds stays bounded until then.
 */
import { expect, test } from 'vitest';

import type { H2Fault } from '#wire/h2/faults.ts';
import { FLAG, FRAME, MAX_FRAME_BYTES } from '#wire/h2/frames.ts';
import { SETTING } from '#wire/h2/settings.ts';

import {
  block,
  data,
  feed,
  frame,
  frames,
  GET,
  headers,
  HELLO,
  number,
  outputOf,
  POST,
  server,
  settings,
  type Fields,
} from './raw-peer.ts';

interface Attack {
  readonly why: string;
  readonly fault: H2Fault;
  /** Frames of the attack that are needed at most. */
  readonly within: number;
  /** Sent once before. */
  readonly opening?: readonly Buffer[];
  readonly round: (round: number) => readonly Buffer[];
}

const id = (round: number): number => 2 * round + 3;
const OPEN_POST = headers(1, POST, FLAG.endHeaders);

test.each<Attack>([
  {
    why: 'rapid reset',
    fault: 'too_many_resets',
    within: 202,
    round: (round) => [headers(id(round), GET), frame(FRAME.rstStream, 0, id(round), number(8))],
  },
  {
    why: 'resets made by a window increment of 0',
    fault: 'too_many_stream_faults',
    within: 202,
    round: (round) => [headers(id(round), GET, FLAG.endHeaders), frame(FRAME.windowUpdate, 0, id(round), number(0))],
  },
  {
    why: 'resets made by content behind the end',
    fault: 'too_many_stream_faults',
    within: 202,
    round: (round) => [headers(id(round), GET), data(id(round), 'x')],
  },
  {
    why: 'malformed requests',
    fault: 'too_many_stream_faults',
    within: 101,
    round: (round) => [headers(id(round), [...GET, ['Upper', 'x']])],
  },
  {
    why: 'streams above the limit',
    fault: 'too_many_stream_faults',
    within: 201,
    round: (round) => [headers(id(round), POST, FLAG.endHeaders)],
  },
  {
    why: 'cookie crumbs',
    fault: 'too_many_stream_faults',
    within: 101,
    round: (round) => [headers(id(round), [...GET, ...Array.from({ length: 120 }, (_, at) => ['cookie', `c${at}`] as const)])],
  },
  {
    why: 'a bomb of references',
    fault: 'too_many_stream_faults',
    within: 102,
    opening: [
      frame(FRAME.headers, 5, 1, Buffer.concat([block(GET), Buffer.from('4001617fa11e', 'hex'), Buffer.alloc(4000, 120)])),
    ],
    round: (round) => [frame(FRAME.headers, 5, id(round), Buffer.concat([block(GET), Buffer.alloc(16_000, 0xbe)]))],
  },
  {
    why: 'CONTINUATION without end',
    fault: 'too_many_continuations',
    within: 18,
    opening: [headers(1, GET, 0)],
    round: () => [frame(FRAME.continuation, 0, 1, block([['a', 'b']]))],
  },
  {
    why: 'large CONTINUATION',
    fault: 'header_block_too_large',
    within: 3,
    opening: [headers(1, GET, 0)],
    round: () => [frame(FRAME.continuation, 0, 1, Buffer.alloc(MAX_FRAME_BYTES, 0x82))],
  },
  {
    why: 'header blocks in empty pieces',
    fault: 'too_many_empty_frames',
    within: 101,
    round: (round) => [
      headers(id(round), GET, FLAG.endStream),
      frame(FRAME.continuation, 0, id(round)),
      frame(FRAME.continuation, FLAG.endHeaders, id(round)),
    ],
  },
  { why: 'empty DATA', fault: 'too_many_empty_frames', within: 101, opening: [OPEN_POST], round: () => [data(1, '')] },
  {
    why: 'DATA of nothing but padding',
    fault: 'too_many_empty_frames',
    within: 101,
    opening: [OPEN_POST],
    round: () => [frame(FRAME.data, FLAG.padded, 1, Buffer.concat([Buffer.of(200), Buffer.alloc(200)]))],
  },
  { why: 'SETTINGS', fault: 'too_many_settings', within: 17, round: () => [settings([[SETTING.initialWindowSize, 1]])] },
  { why: 'SETTINGS acknowledgements', fault: 'too_many_settings', within: 17, round: () => [frame(FRAME.settings, FLAG.ack, 0)] },
  { why: 'PING', fault: 'too_many_pings', within: 101, round: () => [frame(FRAME.ping, 0, 0, 'abcdefgh')] },
  { why: 'PING answers', fault: 'too_many_pings', within: 101, round: () => [frame(FRAME.ping, FLAG.ack, 0, 'abcdefgh')] },
  { why: 'GOAWAY', fault: 'too_many_settings', within: 17, round: () => [frame(FRAME.goaway, 0, 0, Buffer.alloc(8))] },
  {
    why: 'WINDOW_UPDATE of the session',
    fault: 'too_many_window_updates',
    within: 1001,
    round: () => [frame(FRAME.windowUpdate, 0, 0, number(1))],
  },
  {
    why: 'WINDOW_UPDATE of a stream',
    fault: 'too_many_window_updates',
    within: 1011,
    opening: [OPEN_POST],
    round: () => [frame(FRAME.windowUpdate, 0, 1, number(1))],
  },
  {
    why: 'PRIORITY',
    fault: 'too_many_priorities',
    within: 201,
    round: (round) => [frame(FRAME.priority, 0, id(round), Buffer.from('0000000010', 'hex'))],
  },
  {
    why: 'ALTSVC, ORIGIN and what nobody knows',
    fault: 'too_many_unknown_frames',
    within: 101,
    round: (round) => [frame(10 + (round % 3), 0, 0, 'x')],
  },
  {
    why: 'RST_STREAM on a stream that is over',
    fault: 'too_many_unknown_frames',
    within: 110,
    opening: [headers(1, GET), frame(FRAME.rstStream, 0, 1, number(8))],
    round: () => [frame(FRAME.rstStream, 0, 1, number(8))],
  },
  {
    why: 'DATA on a stream that we reset, beyond its window',
    fault: 'stream_closed',
    within: 17,
    opening: [headers(1, [...GET, ['Upper', 'x']], FLAG.endHeaders)],
    round: () => [data(1, Buffer.alloc(16_384))],
  },
  {
    why: 'empty DATA on a stream that we reset',
    fault: 'too_many_empty_frames',
    within: 101,
    opening: [headers(1, [...GET, ['Upper', 'x']], FLAG.endHeaders)],
    round: () => [data(1, '')],
  },
])('$why ends the session with $fault', ({ fault, opening = [], round, within }) => {
  const { session } = server();
  expect(feed(session, ...opening)).toBeNull();
  let sent = 0;
  let most = 0;
  let ended: H2Fault | null = null;
  while (ended === null && sent < 5000) {
    for (const bytes of round(sent)) ended ??= feed(session, bytes);
    sent++;
    most = Math.max(most, session.waitingBytes);
  }
  expect(ended).toBe(fault);
  expect(sent).toBeLessThanOrEqual(within);
  expect(session.openStreams).toBe(0);
  // Nobody took the output meanwhile.
  expect(most).toBeLessThan(64 * 1024);
  expect(frames(outputOf(session)).at(-1)?.type).toBe(FRAME.goaway);
});

test('content that was under way when we reset its stream is passed over, in however many frames', () => {
  const { session, recorder } = server();
  feed(session, OPEN_POST);
  recorder.streams.forEach((stream) => session.reset(stream, 8));
  for (let sent = 0; sent < 250; sent++) expect(feed(session, data(1, Buffer.alloc(1024)))).toBeNull();
  expect(feed(session, headers(1, [['x', 'y']]))).toBeNull();
  expect(recorder.events).toEqual(['request 1 POST /orders']);
});

test('counts begin anew with each window', () => {
  const { session } = server();
  for (let window = 0; window < 5; window++) {
    for (let count = 0; count < 100; count++) expect(feed(session, frame(FRAME.ping, 0, 0, 'abcdefgh'))).toBeNull();
    outputOf(session);
    session.tick((window + 1) * 10_000);
  }
});

test('a peer that works may ping and open windows as much as it works', () => {
  const { session, recorder } = server();
  feed(session, OPEN_POST);
  for (let count = 0; count < 2000; count++) {
    const update = frame(FRAME.windowUpdate, 0, 1, number(1));
    expect(feed(session, data(1, 'x'), frame(FRAME.ping, 0, 0, 'abcdefgh'), update, update)).toBeNull();
    outputOf(session);
  }
  expect(recorder.events.at(-1)).toBe('data 1 1');
});

test('a peer whose streams go well may give up one of five beyond the limit', () => {
  const { recorder, session } = server();
  recorder.onHead = (stream) => {
    session.head.begin();
    session.head.status(204);
    session.sendHead(stream);
    session.sendEnd(stream, null);
  };
  let next = 1;
  for (let round = 0; round < 500; round++) {
    for (let count = 0; count < 5; count++, next += 2) feed(session, headers(next, GET));
    const reset = frame(FRAME.rstStream, 0, next, number(8));
    expect(feed(session, headers(next, POST, FLAG.endHeaders), reset)).toBeNull();
    next += 2;
    outputOf(session);
  }
});

test('answers that nobody reads end the session at the cap', () => {
  const { session, recorder } = server(
    { queuedBytes: 100_000 },
    Buffer.concat([HELLO, settings([[SETTING.initialWindowSize, 0]])]),
  );
  let ended: H2Fault | null = null;
  recorder.onHead = (stream) => {
    session.head.begin();
    session.head.status(200);
    session.sendHead(stream);
    session.sendData(stream, Buffer.alloc(16_384), 0, 16_384);
  };
  for (let round = 0; round < 50 && ended === null; round++) ended = feed(session, headers(id(round), GET));
  expect(ended).toBe('queue_too_large');
  expect(session.waitingBytes).toBeLessThan(32 * 1024);
});

test('one hundred streams that are never read hold no more than was written to them', () => {
  const { session, recorder } = server({}, Buffer.concat([HELLO, settings([[SETTING.initialWindowSize, 0]])]));
  recorder.onHead = (stream) => {
    session.head.begin();
    session.head.status(200);
    session.sendHead(stream);
    session.sendData(stream, Buffer.alloc(65_536), 0, 65_536);
  };
  for (let round = 0; round < 100; round++) expect(feed(session, headers(id(round), GET))).toBeNull();
  expect(session.tick(59_000)).toBeNull();
  expect(session.openStreams).toBe(100);
  session.tick(61_000);
  expect(session.openStreams).toBe(0);
  expect(session.waitingBytes).toBeLessThan(16 * 1024);
});

test('a table that is filled with malformed entries stays within its size', () => {
  const { session } = server();
  const fields: Fields = Array.from({ length: 40 }, (_, at) => [`X-${at}`, 'v'.repeat(90)] as const);
  for (let round = 0; round < 100; round++) {
    const inserting = Buffer.concat(fields.map((field) => Buffer.concat([Buffer.of(0x40), block([field]).subarray(1)])));
    expect(feed(session, frame(FRAME.headers, 5, id(round), inserting))).toBeNull();
  }
  expect(feed(session, headers(id(200), GET))).toBeNull();
});
