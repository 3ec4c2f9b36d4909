/**
 * Raw responses of an upstream that lies or breaks, and what the caller may see of each. Data only: a test here runs it through the
 * codec, an integration test through a live sidecar. The upstream sends `raw` when it has the request, and closes where `closes`.
 */

/**
 * `refused`: the head is no answer, the caller gets 502. `broken`: the head passes, then the response ends broken at the caller,
 * never clean. `surplus`: the response passes, and bytes too many are dropped with the socket. `passed`: a response like any other.
 * In all but `passed` the upstream socket is never used again.
 */
export type LyingKind = 'refused' | 'broken' | 'surplus' | 'passed';

export interface LyingResponse {
  /** Unique, in kebab case. */
  readonly id: string;
  readonly kind: LyingKind;
  readonly raw: Buffer;
  /** Method of the request that it answers. */
  readonly method: 'GET' | 'HEAD';
  /** The upstream closes its side behind the bytes. */
  readonly closes: boolean;
  /** Status that the caller sees. */
  readonly status: number;
  /** Body that the caller sees; of a broken response, what may have come through. One character a byte. */
  readonly body: string;
}

function refused(id: string, text: string): LyingResponse {
  return { id, kind: 'refused', raw: Buffer.from(text, 'latin1'), method: 'GET', closes: false, status: 502, body: '' };
}

function head(id: string, lines: string, rest = 'hello'): LyingResponse {
  return refused(id, `HTTP/1.1 200 OK\r\n${lines}\r\n\r\n${rest}`);
}

function statusLine(id: string, line: string): LyingResponse {
  return refused(id, `${line}\r\nContent-Length: 0\r\n\r\n`);
}

function broken(id: string, text: string, body: string, closes = false): LyingResponse {
  return { id, kind: 'broken', raw: Buffer.from(text, 'latin1'), method: 'GET', closes, status: 200, body };
}

function chunks(id: string, tail: string, body = 'hello'): LyingResponse {
  return broken(`chunks-${id}`, `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n${tail}`, body);
}

function surplus(id: string, text: string, status: number, body: string, method: 'GET' | 'HEAD' = 'GET'): LyingResponse {
  return { id, kind: 'surplus', raw: Buffer.from(text, 'latin1'), method, closes: false, status, body };
}

function passed(
  id: string,
  text: string,
  status: number,
  body: string,
  closes = false,
  method: 'GET' | 'HEAD' = 'GET',
): LyingResponse {
  return { id, kind: 'passed', raw: Buffer.from(text, 'latin1'), method, closes, status, body };
}

const EXTRA = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen';
const GOOD = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';

/** Every response; ids are unique. */
export const LYING_RESPONSES: readonly LyingResponse[] = [
  head('cl-te', 'Content-Length: 5\r\nTransfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n'),
  head('te-cl', 'Transfer-Encoding: chunked\r\nContent-Length: 5', '5\r\nhello\r\n0\r\n\r\n'),
  head('length-twice-same', 'Content-Length: 5\r\nContent-Length: 5'),
  head('length-twice-differs', 'Content-Length: 5\r\nContent-Length: 6'),
  head('length-list', 'Content-Length: 5, 5'),
  head('length-plus', 'Content-Length: +5'),
  head('length-minus', 'Content-Length: -1'),
  head('length-hex', 'Content-Length: 0x5'),
  head('length-empty', 'Content-Length:'),
  head('length-overflow', 'Content-Length: 18446744073709551621'),
  head('coding-x', 'Transfer-Encoding: x'),
  head('coding-identity', 'Transfer-Encoding: identity'),
  head('coding-gzip-chunked', 'Transfer-Encoding: gzip, chunked'),
  head('coding-chunked-gzip', 'Transfer-Encoding: chunked, gzip'),
  head('coding-twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'),
  head('coding-empty', 'Transfer-Encoding:'),
  head('coding-quoted', 'Transfer-Encoding: "chunked"'),
  head('coding-tab-behind', 'Transfer-Encoding: chunked\t'),
  head('blank-before-colon', 'X : y\r\nContent-Length: 5'),
  head('blank-in-name', 'X y: z\r\nContent-Length: 5'),
  head('no-colon', 'X\r\nContent-Length: 5'),
  head('empty-name', ': y\r\nContent-Length: 5'),
  head('fold', 'X: y\r\n z\r\nContent-Length: 5'),
  head('fold-of-length', 'Content-Length:\r\n 5'),
  head('nul-in-value', 'X: \0\r\nContent-Length: 5'),
  head('nul-in-name', 'X\0: y\r\nContent-Length: 5'),
  head('bare-cr', 'X: y\rContent-Length: 5'),
  head('bare-lf', 'X: y\nContent-Length: 5'),
  head('head-100k', `X: ${'a'.repeat(100_000)}\r\nContent-Length: 5`),
  head('fields-3000', `${'X: y\r\n'.repeat(3000)}Content-Length: 5`),
  head('connection-no-list', 'Connection: a b\r\nContent-Length: 5'),
  refused('lf-everywhere', 'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello'),
  refused('lf-after-status-line', 'HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello'),
  refused('lf-ends-head', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello'),
  refused('cr-ends-head', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\rhello'),
  refused('empty-line-first', `\r\n${GOOD}`),
  refused('blank-after-status-line', 'HTTP/1.1 200 OK\r\n X: y\r\nContent-Length: 5\r\n\r\nhello'),
  refused('no-http', 'hello world\r\n\r\n'),
  refused('tls-alert', '\x15\x03\x01\x00\x02\x02\x28'),
  refused('http2-settings', '\0\0\0\x04\0\0\0\0\0'),
  refused('http09', '<html>hello</html>'),
  statusLine('status-99', 'HTTP/1.1 99 x'),
  statusLine('status-099', 'HTTP/1.1 099 x'),
  statusLine('status-600', 'HTTP/1.1 600 x'),
  statusLine('status-999', 'HTTP/1.1 999 x'),
  statusLine('status-2000', 'HTTP/1.1 2000 x'),
  statusLine('status-letters', 'HTTP/1.1 2OO OK'),
  statusLine('status-minus', 'HTTP/1.1 -20 OK'),
  statusLine('status-none', 'HTTP/1.1'),
  statusLine('status-two-blanks', 'HTTP/1.1  200 OK'),
  statusLine('status-tab', 'HTTP/1.1\t200 OK'),
  statusLine('version-2', 'HTTP/2.0 200 OK'),
  statusLine('version-1.2', 'HTTP/1.2 200 OK'),
  statusLine('version-0.9', 'HTTP/0.9 200 OK'),
  statusLine('version-lower', 'http/1.1 200 OK'),
  statusLine('version-rtsp', 'RTSP/1.0 200 OK'),
  statusLine('reason-nul', 'HTTP/1.1 200 O\0K'),
  statusLine('reason-cr', 'HTTP/1.1 200 O\rK'),
  refused('chunked-http10', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'),
  refused('switching-unasked', 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nraw'),
  refused('switching-h2c', 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n'),
  refused('interim-flood', `${'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(200)}${GOOD}`),
  refused('continue-flood', `${'HTTP/1.1 100 Continue\r\n\r\n'.repeat(200)}${GOOD}`),
  refused('interim-with-length', `HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello${GOOD}`),
  refused('interim-with-chunks', `HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${GOOD}`),
  refused('interim-http10', `HTTP/1.0 100 Continue\r\n\r\n${GOOD}`),
  refused('interim-closes', `HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n${GOOD}`),
  { ...refused('head-cut', 'HTTP/1.1 200 OK\r\nContent-Le'), closes: true },
  { ...refused('nothing', ''), closes: true },

  broken('length-cut', 'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello', 'hello', true),
  broken('chunks-cut', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', 'hello', true),
  broken(
    'chunks-cut-in-trailers',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n',
    'hello',
    true,
  ),
  chunks('size-letters', 'xyz\r\nhello\r\n0\r\n\r\n'),
  chunks('size-blank', '5 \r\nworld\r\n0\r\n\r\n'),
  chunks('size-hex-prefix', '0x5\r\nworld\r\n0\r\n\r\n'),
  chunks('size-minus', '-1\r\n0\r\n\r\n'),
  chunks('size-long', '0000000000001\r\nx\r\n0\r\n\r\n'),
  chunks('size-lf', '5\nworld\r\n0\r\n\r\n'),
  chunks('extension-lf', '5;a\nb\r\nworld\r\n0\r\n\r\n'),
  chunks('extension-too-large', `5;${'a'.repeat(5000)}\r\nworld\r\n0\r\n\r\n`),
  chunks('data-too-long', '4\r\nworld\r\n0\r\n\r\n', 'helloworl'),
  chunks('data-lf', '5\r\nworld\n0\r\n\r\n', 'helloworld'),
  chunks('last-lf', '0\n\n'),
  chunks('trailer-bad', '0\r\nX : y\r\n\r\n'),
  chunks('trailer-folded', '0\r\nX: y\r\n z\r\n\r\n'),
  chunks('trailers-too-many', `0\r\n${'X: y\r\n'.repeat(100)}\r\n`),
  chunks('new-response-inside', EXTRA),

  surplus('extra-response', GOOD + EXTRA, 200, 'hello'),
  surplus('extra-bytes', `${GOOD}x`, 200, 'hello'),
  surplus('extra-empty-line', `${GOOD}\r\n`, 200, 'hello'),
  surplus('no-content-with-body', 'HTTP/1.1 204 No Content\r\n\r\nhello', 204, ''),
  surplus('no-content-with-length', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello', 204, ''),
  surplus('not-modified-with-body', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello', 304, ''),
  surplus('not-modified-with-chunks', 'HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 304, ''),
  surplus('head-with-body', GOOD, 200, '', 'HEAD'),
  surplus('head-with-chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n', 200, '', 'HEAD'),
  surplus(
    'chunks-then-extra',
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n${EXTRA}`,
    200,
    'hello',
  ),

  passed('plain', GOOD, 200, 'hello'),
  passed('chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n', 200, 'hello'),
  passed('until-close', 'HTTP/1.1 200 OK\r\n\r\nhello', 200, 'hello', true),
  passed('until-close-http10', 'HTTP/1.0 200 OK\r\n\r\nhello', 200, 'hello', true),
  passed('connection-close', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello', 200, 'hello', true),
  passed('early-hints', `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${GOOD}`, 200, 'hello'),
  passed('continue-unasked', `HTTP/1.1 100 Continue\r\n\r\n${GOOD}`, 200, 'hello'),
  passed('no-content', 'HTTP/1.1 204 No Content\r\n\r\n', 204, ''),
  passed('not-modified', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', 304, ''),
  passed('head', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', 200, '', false, 'HEAD'),
  passed('no-reason', 'HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello', 200, 'hello'),
  passed('length-zero', 'HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n', 503, ''),
  passed('obs-text', 'HTTP/1.1 200 \xe4\r\nX: \xff\r\nContent-Length: 5\r\n\r\nhello', 200, 'hello'),
];
