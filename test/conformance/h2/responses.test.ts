/** What a session sends as a response, and what it takes for one (RFC 9113, section 8). */
import { describe, expect, test } from 'vitest';

import { Trailers } from '#wire/h1/chunked.ts';
import { DEFAULT_HEAD_LIMITS, ResponseHead } from '#wire/h1/head.ts';
import { parseResponseHead } from '#wire/h1/response.ts';
import { ERROR_CODE } from '#wire/h2/error-codes.ts';
import { FLAG, FRAME } from '#wire/h2/frames.ts';
import { SETTING } from '#wire/h2/settings.ts';

import { trailersOf } from './collecting-client.ts';
import { describeHead } from './head-facts.ts';
import * as raw from './raw-peer.ts';
import { answer, client, data, feed, frame, GET, headers, number, outputOf, server, settings, type Fields } from './raw-peer.ts';

describe('a response', () => {
  test('puts its end into its last frame', () => {
    const { session, recorder } = server();
    recorder.onHead = (stream) => answer(session, stream, 'hello');
    feed(session, headers(1, GET));
    expect(raw.describe(outputOf(session))).toEqual(['HEADERS 1', 'DATA 1 5 end']);
    recorder.onHead = (stream) => answer(session, stream, '');
    feed(session, headers(3, GET));
    expect(raw.describe(outputOf(session))).toEqual(['HEADERS 3 end']);
  });

  test('waits for the windows, trailers behind the content', () => {
    const { session, recorder } = server();
    feed(session, settings([[SETTING.initialWindowSize, 10]]), headers(1, GET));
    outputOf(session);
    const stream = recorder.streams.get(1);
    if (stream === undefined) throw new Error('Cannot find the stream');
    session.head.begin();
    session.head.status(200);
    session.sendHead(stream);
    session.sendData(stream, Buffer.from('0123456789abcdef'), 0, 16);
    session.sendEnd(
      stream,
      trailersOf('grpc-status: 0\r\n', (bytes) => new Trailers(bytes)),
    );
    expect(stream.isBlocked).toBe(true);
    expect(raw.describe(outputOf(session))).toEqual(['HEADERS 1', 'DATA 1 10']);
    feed(session, frame(FRAME.windowUpdate, 0, 1, number(5)));
    expect(raw.describe(outputOf(session))).toEqual(['DATA 1 5']);
    feed(session, settings([[SETTING.initialWindowSize, 11]]));
    expect(raw.describe(outputOf(session))).toEqual(['SETTINGS ack', 'DATA 1 1', 'HEADERS 1 end']);
    expect(session.openStreams).toBe(0);
    expect(session.waitingBytes).toBe(0);
  });

  test('waits while the socket is full', () => {
    const { session, recorder } = server();
    session.hold();
    feed(session, headers(1, GET));
    const stream = recorder.streams.get(1);
    if (stream === undefined) throw new Error('Cannot find the stream');
    session.sendData(stream, Buffer.alloc(20_000), 0, 20_000);
    expect(outputOf(session)).toBeNull();
    expect(session.release()).toBeNull();
    expect(raw.describe(outputOf(session))).toEqual(['DATA 1 16384', 'DATA 1 3616']);
    expect(recorder.events.at(-1)).toBe('writable 1');
  });

  test('with a head larger than a frame goes on in CONTINUATION', () => {
    const { session, recorder } = server();
    recorder.onHead = (stream) => {
      session.head.begin();
      session.head.status(200);
      for (let index = 0; index < 30; index++) session.head.text(`x-${index}`, 'v'.repeat(1000));
      session.sendHead(stream);
      session.sendEnd(stream, null);
    };
    feed(session, headers(1, GET));
    const sent = outputOf(session);
    expect(raw.describe(sent)).toEqual(['HEADERS 1 end', 'CONTINUATION 1']);
    expect(raw.frames(sent).map(({ flags }) => flags & FLAG.endHeaders)).toEqual([0, FLAG.endHeaders]);
  });

  test('ends with its trailers, in whatever buffers and frames they stand', () => {
    const { session, recorder } = server();
    const lines = Array.from({ length: 60 }, (_, index) => `x-${index}: ${'X'.repeat(300)}\r\n`).join('');
    recorder.onHead = (stream) => {
      session.head.begin();
      session.head.status(200);
      session.sendHead(stream);
      session.sendData(stream, Buffer.alloc(45_000), 0, 45_000);
      session.sendEnd(
        stream,
        trailersOf(lines, (bytes) => new Trailers(bytes)),
      );
    };
    feed(session, headers(1, GET));
    const sent = raw.describe(outputOf(session));
    expect(sent.slice(0, 3)).toEqual(['HEADERS 1', 'DATA 1 16384', 'DATA 1 16384']);
    expect(sent.slice(-2)).toEqual(['HEADERS 1 end', 'CONTINUATION 1']);
    expect(session.openStreams).toBe(0);
  });

  test.each<{ why: string; fields: Fields; flags?: number; fault: string }>([
    { why: 'no status', fields: [['a', 'b']], fault: 'pseudo_missing' },
    {
      why: 'a path',
      fields: [
        [':status', '200'],
        [':path', '/'],
      ],
      fault: 'pseudo_unknown',
    },
    { why: 'a status of two digits', fields: [[':status', '20']], fault: 'status' },
    { why: 'a status above 599', fields: [[':status', '600']], fault: 'status' },
    { why: 'status 101', fields: [[':status', '101']], flags: FLAG.endHeaders, fault: 'status' },
    { why: 'an interim status at its end', fields: [[':status', '103']], fault: 'message_order' },
    {
      why: 'a length without content',
      fields: [
        [':status', '200'],
        ['content-length', '1'],
      ],
      fault: 'content_length',
    },
    {
      why: 'connection',
      fields: [
        [':status', '200'],
        ['connection', 'x'],
      ],
      fault: 'field_forbidden',
    },
  ])('with $why is broken off', ({ fields, flags = TRAILING, fault }) => {
    const { session, recorder } = client();
    const stream = session.open('', 'GET');
    expect(stream?.id).toBe(1);
    expect(feed(session, headers(1, fields, flags))).toBeNull();
    expect(recorder.events).toEqual([`reset 1 ${fault}`]);
  });

  test('may follow interim ones, and may come before the request is complete', () => {
    const { session, recorder } = client();
    const stream = session.open('', 'POST');
    feed(session, headers(1, [[':status', '103']], FLAG.endHeaders), headers(1, [[':status', '200']], FLAG.endHeaders));
    feed(session, data(1, 'x', FLAG.endStream), frame(FRAME.rstStream, 0, 1, number(ERROR_CODE.noError)));
    expect(recorder.events).toEqual(['informational 1 103', 'response 1 200', 'data 1 1', 'end 1', 'reset 1 0']);
    expect(stream?.isClosed).toBe(true);
  });

  test('without content has a length of 0 over HTTP/1.1', () => {
    const { session, recorder } = client();
    session.open('', 'GET');
    let framing = -1;
    recorder.onHead = (_stream, head) => (framing = head.framing);
    feed(session, headers(1, [[':status', '200']]));
    expect(framing).toBe(1);
  });
});

test('a response that is taken is one of HTTP/1.1 too, to every offset', () => {
  const { session, recorder } = client();
  session.head.begin();
  for (const [name, value] of GET) session.head.text(name, value);
  const stream = session.open('', 'GET');
  if (stream !== null) session.sendHead(stream);
  let ours: unknown;
  let theirs: unknown;
  recorder.onHead = (_stream, head) => {
    ours = describeHead(head);
    const again = new ResponseHead();
    expect(parseResponseHead(head.bytes, head.start, head.end, again, DEFAULT_HEAD_LIMITS, 'GET')).toBe(head.end);
    theirs = describeHead(again);
  };
  feed(
    session,
    headers(
      1,
      [
        [':status', '200'],
        ['content-length', '5'],
        ['date', 'today'],
        ['set-cookie', 'a'],
        ['set-cookie', 'b'],
      ],
      4,
    ),
  );
  expect(ours).toEqual(theirs);
});

const TRAILING = FLAG.endHeaders | FLAG.endStream;
