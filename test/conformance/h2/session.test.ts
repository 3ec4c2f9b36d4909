/** What a session answers to exact frames: states, heads, windows, ends (RFC 9113; RFC 8441). */
import { describe, expect, test } from 'vitest';

import { ResponseHead } from '#wire/h1/head.ts';
import { parseRequestHead } from '#wire/h1/request.ts';
import { parseResponseHead } from '#wire/h1/response.ts';
import { Trailers } from '#wire/h1/chunked.ts';
import { DEFAULT_HEAD_LIMITS, RequestHead } from '#wire/h1/head.ts';
import { ERROR_CODE } from '#wire/h2/error-codes.ts';
import { FLAG, FRAME, PREFACE } from '#wire/h2/frames.ts';
import { SETTING } from '#wire/h2/settings.ts';
import type { H2Session } from '#wire/h2/session.ts';
import type { H2Stream } from '#wire/h2/stream.ts';

import { trailersOf } from './collecting-client.ts';
import * as raw from './raw-peer.ts';
import {
  block,
  client,
  data,
  feed,
  frame,
  GET,
  headers,
  number,
  outputOf,
  POST,
  server,
  settings,
  type Fields,
} from './raw-peer.ts';

const TRAILING = FLAG.endHeaders | FLAG.endStream;

describe('a request', () => {
  test('reads like one of HTTP/1.1', () => {
    const { session, recorder } = server();
    feed(session, headers(1, [...GET, ['accept', '*/*'], ['cookie', 'a=1'], ['x_y', ''], ['cookie', 'b=2']]));
    expect(recorder.heads[0]?.text).toBe('GET / HTTP/1.1\r\nhost: app.test\r\naccept: */*\r\nx_y: \r\ncookie: a=1; b=2\r\n\r\n');
    expect(recorder.events).toEqual(['request 1 GET /', 'end 1']);
  });

  test.each<{ why: string; fields: Fields; framing: string }>([
    { why: 'with a length', fields: [...POST, ['content-length', '3']], framing: 'length' },
    { why: 'without one', fields: POST, framing: 'chunked' },
  ])('with content $why has the framing $framing', ({ fields }) => {
    const { session, recorder } = server();
    let framing = -1;
    recorder.onHead = (_stream, head) => (framing = head.framing);
    feed(session, headers(1, fields, FLAG.endHeaders), data(1, 'abc', FLAG.endStream));
    expect(framing).toBe(fields.length > POST.length ? 1 : 2);
    expect(recorder.events).toEqual(['request 1 POST /orders', 'data 1 3', 'end 1']);
  });

  test('may name its host in Host alone, or in both alike', () => {
    const { session, recorder } = server();
    const alone = [...GET.filter(([name]) => name !== ':authority'), ['host', 'h.test']] as const;
    feed(session, headers(1, alone), headers(3, [...GET, ['host', 'APP.test']]), headers(5, GET.slice(0, 3)));
    expect(recorder.heads.map(({ text }) => text)).toEqual([
      'GET / HTTP/1.1\r\nhost: h.test\r\n\r\n',
      'GET / HTTP/1.1\r\nhost: app.test\r\n\r\n',
      'GET / HTTP/1.1\r\n\r\n',
    ]);
  });

  test('of extended CONNECT is a GET that names its protocol, and its stream is a tunnel', () => {
    const { session, recorder } = server();
    feed(session, headers(1, [[':method', 'CONNECT'], [':protocol', 'websocket'], ...GET.slice(1)], FLAG.endHeaders));
    expect(recorder.events).toEqual(['request 1 GET /']);
    expect(recorder.streams.get(1)).toMatchObject({ protocol: 'websocket', isTunnel: true });
  });

  test('with empty cookie crumbs has a cookie without them', () => {
    const { session, recorder } = server();
    feed(session, headers(1, [...GET, ['cookie', ''], ['cookie', 'a=1'], ['cookie', ''], ['cookie', 'b=2'], ['cookie', '']]));
    expect(recorder.heads[0]?.fields.at(-1)).toEqual(['cookie', 'a=1; b=2']);
  });

  test('of CONNECT has its authority as target', () => {
    const { session, recorder } = server();
    feed(
      session,
      headers(
        1,
        [
          [':method', 'CONNECT'],
          [':authority', 'db.test:5432'],
        ],
        FLAG.endHeaders,
      ),
    );
    expect(recorder.heads[0]?.text).toBe('CONNECT db.test:5432 HTTP/1.1\r\nhost: db.test:5432\r\n\r\n');
  });

  test.each<{ why: string; fields: Fields; fault: string }>([
    { why: 'host beside another :authority', fields: [...GET, ['host', 'other.test']], fault: 'authority' },
    { why: 'Host twice', fields: [...GET, ['host', 'app.test'], ['host', 'app.test']], fault: 'authority' },
    { why: 'an empty :authority', fields: [...GET.slice(0, 3), [':authority', '']], fault: 'authority' },
    { why: 'a blank in :authority', fields: [...GET.slice(0, 3), [':authority', 'a b']], fault: 'authority' },
    { why: 'a method in lower case', fields: [[':method', 'get'], ...GET.slice(1)], fault: 'method' },
    { why: 'an empty method', fields: [[':method', ''], ...GET.slice(1)], fault: 'method' },
    { why: 'a method that nobody knows', fields: [[':method', 'FROB'], ...GET.slice(1)], fault: 'method' },
    { why: 'another scheme', fields: [...GET.slice(0, 1), [':scheme', 'ftp'], ...GET.slice(2)], fault: 'scheme' },
    { why: 'a path without a slash', fields: [...GET.slice(0, 2), [':path', 'x'], ...GET.slice(3)], fault: 'path' },
    { why: 'a path with a byte above 0x7f', fields: [...GET.slice(0, 2), [':path', '/\u00e9'], ...GET.slice(3)], fault: 'path' },
    { why: 'a path with a blank', fields: [...GET.slice(0, 2), [':path', '/ HTTP/1.1'], ...GET.slice(3)], fault: 'path' },
    { why: 'a path with CRLF', fields: [...GET.slice(0, 2), [':path', '/\r\nx: y'], ...GET.slice(3)], fault: 'path' },
    { why: 'an asterisk that is not of OPTIONS', fields: [...GET.slice(0, 2), [':path', '*'], ...GET.slice(3)], fault: 'path' },
    { why: 'no method', fields: GET.slice(1), fault: 'pseudo_missing' },
    { why: 'no scheme', fields: [...GET.slice(0, 1), ...GET.slice(2)], fault: 'pseudo_missing' },
    { why: 'no path', fields: [...GET.slice(0, 2), ...GET.slice(3)], fault: 'pseudo_missing' },
    { why: 'a status', fields: [...GET, [':status', '200']], fault: 'pseudo_unknown' },
    { why: 'a pseudo-header of its own', fields: [...GET, [':x', 'y']], fault: 'pseudo_unknown' },
    { why: ':Path', fields: [...GET, [':Path', '/']], fault: 'pseudo_unknown' },
    { why: 'a method twice', fields: [...GET, [':method', 'GET']], fault: 'pseudo_repeated' },
    {
      why: 'a pseudo-header behind a field',
      fields: [...GET.slice(0, 3), ['a', 'b'], [':authority', 'x']],
      fault: 'pseudo_misplaced',
    },
    {
      why: 'a pseudo-header behind a cookie',
      fields: [...GET.slice(0, 3), ['cookie', 'b'], [':authority', 'x']],
      fault: 'pseudo_misplaced',
    },
    { why: 'CONNECT with a path', fields: [[':method', 'CONNECT'], ...GET.slice(1)], fault: 'pseudo_misplaced' },
    { why: 'CONNECT without an authority', fields: [[':method', 'CONNECT']], fault: 'pseudo_missing' },
    { why: ':protocol beside GET', fields: [...GET, [':protocol', 'websocket']], fault: 'protocol' },
    { why: 'an empty :protocol', fields: [[':method', 'CONNECT'], [':protocol', ''], ...GET.slice(1)], fault: 'protocol' },
    { why: 'a name in upper case', fields: [...GET, ['X-Y', 'z']], fault: 'field_name' },
    { why: 'a name with a blank', fields: [...GET, ['x y', 'z']], fault: 'field_name' },
    { why: 'a name with a colon', fields: [...GET, ['x:', 'z']], fault: 'field_name' },
    { why: 'CRLF in a value', fields: [...GET, ['x', 'a\r\nb: c']], fault: 'field_value' },
    { why: 'a value with a blank behind it', fields: [...GET, ['x', 'a ']], fault: 'field_value' },
    { why: 'connection', fields: [...GET, ['connection', 'close']], fault: 'field_forbidden' },
    { why: 'keep-alive', fields: [...GET, ['keep-alive', '1']], fault: 'field_forbidden' },
    { why: 'proxy-connection', fields: [...GET, ['proxy-connection', 'close']], fault: 'field_forbidden' },
    { why: 'transfer-encoding', fields: [...GET, ['transfer-encoding', 'chunked']], fault: 'field_forbidden' },
    { why: 'upgrade', fields: [...GET, ['upgrade', 'websocket']], fault: 'field_forbidden' },
    { why: 'te beside trailers', fields: [...GET, ['te', 'trailers, gzip']], fault: 'field_forbidden' },
    { why: 'an expectation of its own', fields: [...GET, ['expect', 'tea']], fault: 'field_expect' },
    { why: 'a length that is no number', fields: [...GET, ['content-length', '+0']], fault: 'content_length' },
    { why: 'a length twice', fields: [...GET, ['content-length', '0'], ['content-length', '0']], fault: 'content_length' },
    { why: 'a length without content', fields: [...GET, ['content-length', '1']], fault: 'content_length' },
    { why: '101 fields', fields: [...GET, ...Array.from({ length: 97 }, () => ['a', 'b'] as const)], fault: 'fields_too_large' },
    {
      why: '100 cookie crumbs',
      fields: [...GET, ...Array.from({ length: 100 }, () => ['cookie', 'b'] as const)],
      fault: 'fields_too_large',
    },
    { why: 'a field of 16 KiB', fields: [...GET, ['a', 'b'.repeat(16_250)]], fault: 'fields_too_large' },
  ])('with $why is refused and the next is served', ({ fields, fault }) => {
    const { session, recorder } = server();
    expect(feed(session, headers(1, fields), headers(3, GET))).toBeNull();
    expect(recorder.events).toEqual([`refused 1 ${fault}`, 'request 3 GET /', 'end 3']);
    expect(raw.describe(outputOf(session))[0]).toMatch(/^RST_STREAM 1 (1|11)$/);
  });

  test.each<{ why: string; rest: readonly Buffer[]; fault: string }>([
    { why: 'more content than it said', rest: [data(1, 'abcd')], fault: 'content_length' },
    { why: 'less content than it said', rest: [data(1, 'ab', FLAG.endStream)], fault: 'content_length' },
    { why: 'a second head', rest: [headers(1, POST, FLAG.endHeaders)], fault: 'pseudo_misplaced' },
    { why: 'trailers that end nothing', rest: [headers(1, [['a', 'b']], FLAG.endHeaders)], fault: 'message_order' },
    {
      why: 'a pseudo-header in its trailers',
      rest: [data(1, 'abc'), headers(1, [[':path', '/']], TRAILING)],
      fault: 'pseudo_misplaced',
    },
    { why: 'content behind its end', rest: [data(1, 'abc', FLAG.endStream), data(1, 'x')], fault: 'stream_half_closed' },
    {
      why: 'fields behind its end',
      rest: [data(1, 'abc', FLAG.endStream), headers(1, [['a', 'b']])],
      fault: 'stream_half_closed',
    },
  ])('with $why is broken off', ({ rest, fault }) => {
    const { session, recorder } = server();
    expect(feed(session, headers(1, [...POST, ['content-length', '3']], FLAG.endHeaders), ...rest)).toBeNull();
    expect(recorder.events.at(-1)).toBe(`reset 1 ${fault}`);
    expect(session.openStreams).toBe(0);
  });

  test('has its trailers told at its end', () => {
    const { session, recorder } = server();
    feed(
      session,
      headers(1, POST, FLAG.endHeaders),
      data(1, 'abc'),
      headers(
        1,
        [
          ['x-sum', '1'],
          ['x-end', ''],
        ],
        TRAILING,
      ),
    );
    expect(recorder.events.slice(1)).toEqual(['data 1 3', 'end 1 x-sum=1 x-end=']);
  });

  test('that is repeated in indexed fields alone reads the same from the memo', () => {
    const { session, recorder } = server();
    const fields: Fields = [...GET, ['te', 'trailers'], ['content-length', '0'], ['x_z', 'v'], ['expect', '100-continue']];
    const inserting = Buffer.concat(fields.map((field) => Buffer.concat([Buffer.of(0x40), block([field]).subarray(1)])));
    const indexed = Buffer.from(fields.map((_, index) => 0x80 | (61 + fields.length - index)));
    feed(session, frame(FRAME.headers, TRAILING, 1, inserting));
    const states: unknown[] = [];
    recorder.onHead = (stream, head) => states.push({ ...describeHead(head), expected: stream.expected });
    for (const id of [3, 5, 7]) feed(session, frame(FRAME.headers, TRAILING, id, indexed));
    expect(recorder.heads).toHaveLength(4);
    for (const head of recorder.heads) expect(head).toEqual(recorder.heads[0]);
    expect(states[1]).toEqual(states[0]);
    expect(states[2]).toEqual(states[0]);
  });
});

describe('a head that is taken is one of HTTP/1.1 too', () => {
  const fields: Fields = [
    ...POST,
    ['content-length', '5'],
    ['a_b', 'x'],
    ['expect', '100-continue'],
    ['cookie', 'x'],
    ['te', 'trailers'],
  ];

  test('a request, to every offset', () => {
    const { session, recorder } = server();
    let ours: unknown;
    let theirs: unknown;
    recorder.onHead = (_stream, head) => {
      ours = describeHead(head);
      const again = new RequestHead();
      expect(parseRequestHead(head.bytes, head.start, head.end, again, DEFAULT_HEAD_LIMITS)).toBe(head.end);
      theirs = describeHead(again);
    };
    feed(session, headers(1, fields, FLAG.endHeaders));
    expect(ours).toEqual(theirs);
  });

  test('a response, to every offset', () => {
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
});

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

  test('of padding are given back at once', () => {
    const { session, recorder } = server({ streamWindowBytes: 65_535, sessionWindowBytes: 65_535 });
    recorder.consumes = false;
    feed(session, headers(1, POST, FLAG.endHeaders));
    const padded = frame(FRAME.data, FLAG.padded, 1, Buffer.concat([Buffer.of(255), Buffer.alloc(256)]));
    for (let sent = 0; sent < 1000; sent++) expect(feed(session, padded)).toBeNull();
    expect(recorder.events.filter((event) => event.startsWith('data'))).toHaveLength(1000);
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
    session.tick(60_000);
    expect(recorder.events.at(-1)).toBe('reset 1 stream_stalled');
    session.tick(90_000);
    expect(recorder.events.at(-1)).toBe('reset 3 stream_idle_timeout');
  });
});

function answer(session: H2Session<string>, stream: H2Stream<string>, content: string): void {
  session.head.begin();
  session.head.status(200);
  session.sendHead(stream);
  const bytes = Buffer.from(content);
  session.sendData(stream, bytes, 0, bytes.length);
  session.sendEnd(stream, null);
}

/** Everything that a head says, offsets from its start. */
function describeHead(head: RequestHead | ResponseHead): Record<string, unknown> {
  const { contentLength, fields, framing, hasConnectionOptions, hasUpgrade, isPersistent, minor, start } = head;
  return {
    contentLength,
    framing,
    hasConnectionOptions,
    hasUpgrade,
    isPersistent,
    minor,
    fieldsStart: head.fieldsStart - start,
    end: head.end - start,
    ranges: [...fields.ranges.subarray(0, 4 * fields.count)].map((offset) => offset - start),
    ids: [...fields.ids.subarray(0, fields.count)],
    dropped: [...fields.dropped.subarray(0, fields.count)],
    hasUnderscore: fields.hasUnderscore,
    ...(head instanceof RequestHead
      ? {
          method: head.method,
          target: [head.targetStart - start, head.targetEnd - start],
          host: [head.hostIndex, head.hostCount],
          expectsContinue: head.expectsContinue,
        }
      : { status: head.status, reason: [head.reasonStart - start, head.reasonEnd - start] }),
  };
}
