/** What a server's session takes for a request, and what not (RFC 9113, section 8; RFC 8441). */
import { describe, expect, test } from 'vitest';

import { DEFAULT_HEAD_LIMITS, RequestHead } from '#wire/h1/head.ts';
import { parseRequestHead } from '#wire/h1/request.ts';
import { FLAG, FRAME } from '#wire/h2/frames.ts';

import { describeHead } from './head-facts.ts';
import * as raw from './raw-peer.ts';
import { block, data, feed, frame, GET, headers, outputOf, POST, server, type Fields } from './raw-peer.ts';

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
    {
      why: 'CONNECT with a length',
      fields: [
        [':method', 'CONNECT'],
        [':authority', 'a'],
        ['content-length', '0'],
      ],
      fault: 'content_length',
    },
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

  test('that is refused or comes late keeps the table in step', () => {
    const { session, recorder } = server({ concurrentStreams: 1 });
    const insert = (value: string): Buffer => Buffer.concat([Buffer.of(0x40), block([['x-kept', value]]).subarray(1)]);
    const opening = Buffer.concat([block(POST), insert('first')]);
    feed(session, frame(FRAME.headers, FLAG.endHeaders, 1, opening));
    // Refused, then on a stream that we have reset.
    feed(session, frame(FRAME.headers, FLAG.endHeaders, 3, Buffer.concat([block(POST), insert('second')])));
    feed(session, frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 3, insert('third')));
    feed(session, data(1, '', FLAG.endStream));
    recorder.streams.forEach((stream) => session.sendEnd(stream, null));
    feed(session, frame(FRAME.headers, TRAILING, 5, Buffer.concat([block(GET), Buffer.of(0xbe, 0xbf, 0xc0)])));
    expect(recorder.heads.at(-1)?.fields.slice(1)).toEqual([
      ['x-kept', 'third'],
      ['x-kept', 'second'],
      ['x-kept', 'first'],
    ]);
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
    recorder.onHead = (stream, head) => {
      if (head.fields.count > 1) states.push({ ...describeHead(head), expected: stream.expected });
      head.fields.dropped.fill(1);
    };
    for (const id of [3, 7, 11]) {
      feed(session, frame(FRAME.headers, TRAILING, id, indexed));
      // Another head in between leaves nothing behind.
      feed(session, headers(id + 2, POST));
    }
    const heads = recorder.heads.filter(({ fields: { length } }) => length > 1);
    expect(heads).toHaveLength(4);
    for (const head of heads) expect(head).toEqual(recorder.heads[0]);
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
});

const TRAILING = FLAG.endHeaders | FLAG.endStream;
