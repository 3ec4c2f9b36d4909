/**
 * Raw requests that try to be read in two ways, and what a sidecar makes of each. Data only: wire and proxy/http tests run it through
 * the codec, an integration test through a live sidecar with an upstream that records what reaches it.
 *
 * The sidecar is assumed to allow everything, with `underscores: allow` and the path mode `base`.
 */

/**
 * `head`: refused before a byte goes upstream, and the connection closes. `body`: the head may go upstream, but the request must
 * never look complete there; its socket is reset. `allowed`: what reaches the upstream is `requests`, framed by us.
 */
export type SmugglingKind = 'head' | 'body' | 'allowed';

/** A request as the upstream must see it. Text has one character a byte. */
export interface ForwardedRequest {
  readonly method: string;
  readonly target: string;
  readonly body: string;
}

export interface SmugglingCase {
  /** Unique, in kebab case; stable, so that a failure can be run again alone. */
  readonly id: string;
  readonly kind: SmugglingKind;
  /**
   * The bytes to send on one connection.
   *
   * @param goodChunks  for `body`: valid chunks before the fault; no meaning for the other kinds
   */
  readonly raw: (goodChunks: number) => Buffer;
  /** Statuses of all responses, in order; a 100 is not counted. */
  readonly statuses: readonly number[];
  /** What reaches the upstream complete, in order; what is refused does not stand here. */
  readonly requests: readonly ForwardedRequest[];
}

const HOST = 'Host: app.test\r\n';
const ATTACK = 'GET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n';
const CHUNKED_ATTACK = `0\r\n\r\n${ATTACK}`;

function head(id: string, text: string, status = 400): SmugglingCase {
  return { id, kind: 'head', raw: () => Buffer.from(text, 'latin1'), statuses: [status], requests: [] };
}

/** A POST with these field lines and this body. */
function post(id: string, fields: string, body = '', status = 400): SmugglingCase {
  return head(id, `POST /x HTTP/1.1\r\n${HOST}${fields}\r\n${body}`, status);
}

/** A GET with one field line more. */
function field(id: string, line: string, status = 400): SmugglingCase {
  return head(id, `GET /x HTTP/1.1\r\n${HOST}${line}\r\n\r\n`, status);
}

function startLine(id: string, line: string, status = 400): SmugglingCase {
  return head(id, `${line}\r\n${HOST}\r\n`, status);
}

function target(id: string, text: string, host = 'app.test', status = 400): SmugglingCase {
  return head(id, `GET ${text} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, status);
}

function host(id: string, lines: string): SmugglingCase {
  return head(id, `GET /x HTTP/1.1\r\n${lines}\r\n`, 400);
}

function body(id: string, tail: string): SmugglingCase {
  return {
    id,
    kind: 'body',
    raw: (goodChunks) =>
      Buffer.from(
        `POST /x HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${'5\r\nhello\r\n'.repeat(goodChunks)}${tail}`,
        'latin1',
      ),
    statuses: [400],
    requests: [],
  };
}

function allowed(id: string, text: string, requests: readonly ForwardedRequest[], statuses?: readonly number[]): SmugglingCase {
  return {
    id,
    kind: 'allowed',
    raw: () => Buffer.from(text, 'latin1'),
    statuses: statuses ?? requests.map(() => 200),
    requests,
  };
}

function got(path: string, text = '', method = text === '' ? 'GET' : 'POST'): ForwardedRequest {
  return { method, target: path, body: text };
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}

const CONFLICTS: readonly SmugglingCase[] = [
  post('cl-te', 'Content-Length: 6\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\nG`),
  post('te-cl', 'Transfer-Encoding: chunked\r\nContent-Length: 4\r\n', CHUNKED_ATTACK),
  post('cl-te-apart', 'Content-Length: 6\r\nX: y\r\nA: b\r\nTransfer-Encoding: chunked\r\n', CHUNKED_ATTACK),
  post('te-cl-zero', 'Transfer-Encoding: chunked\r\nContent-Length: 0\r\n', CHUNKED_ATTACK),
  post('cl-zero-te', 'Content-Length: 0\r\nTransfer-Encoding: chunked\r\n', CHUNKED_ATTACK),
  post('cl-te-lower', 'content-length: 6\r\ntransfer-encoding: chunked\r\n', CHUNKED_ATTACK),
  post('te-cl-upper', 'TRANSFER-ENCODING: CHUNKED\r\nCONTENT-LENGTH: 4\r\n', CHUNKED_ATTACK),
  post('cl-te-identity', 'Content-Length: 6\r\nTransfer-Encoding: identity\r\n', 'abcdef'),
  post('te-identity-cl', 'Transfer-Encoding: identity\r\nContent-Length: 6\r\n', 'abcdef', 501),
  post('cl-te-x', 'Content-Length: 6\r\nTransfer-Encoding: x\r\n', 'abcdef'),
  post('cl-te-empty', 'Content-Length: 6\r\nTransfer-Encoding:\r\n', 'abcdef'),
  post('cl-te-cl', 'Content-Length: 6\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n', 'abcdef'),
  post('te-te-cl', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n', 'abcdef'),
  head('cl-te-get', `GET /x HTTP/1.1\r\n${HOST}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED_ATTACK}`),
  head('cl-te-http10', `POST /x HTTP/1.0\r\n${HOST}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED_ATTACK}`),
];

const LENGTHS: readonly SmugglingCase[] = [
  ...[
    ['plus', '+5'],
    ['minus', '-5'],
    ['minus-zero', '-0'],
    ['hex', '0x5'],
    ['octal', '0o5'],
    ['underscore', '5_0'],
    ['exponent', '1e1'],
    ['fraction', '5.0'],
    ['dot', '5.'],
    ['empty', ''],
    ['blank', ' '],
    ['inner-blank', '5 5'],
    ['inner-tab', '5\t5'],
    ['list', '5, 5'],
    ['list-tight', '5,5'],
    ['list-differs', '5, 6'],
    ['list-open', '5,'],
    ['parameter', '5;x=1'],
    ['quoted', '"5"'],
    ['letter', '5a'],
    ['nan', 'NaN'],
    ['infinity', 'Infinity'],
    ['obs-text', '5\xb2'],
    ['nbsp', '\xa05'],
    ['overflow-64', '18446744073709551621'],
    ['overflow-53', '9007199254740993'],
    ['overflow-long', '1'.repeat(300)],
    ['sixteen-digits', '0000000000000005'],
    ['vertical-tab', '\x0b5'],
    ['form-feed', '5\x0c'],
    ['nul', '5\0'],
  ].map(([name, value]) => post(`content-length-${name}`, `Content-Length: ${value}\r\n`, 'hello')),
  post('content-length-twice-same', 'Content-Length: 5\r\nContent-Length: 5\r\n', 'hello'),
  post('content-length-twice-differs', 'Content-Length: 5\r\nContent-Length: 6\r\n', `hello${ATTACK}`),
  post('content-length-twice-apart', 'Content-Length: 5\r\nX: y\r\ncontent-length: 0\r\n', `hello`),
  post('content-length-zero-then-five', 'Content-Length: 0\r\nContent-Length: 5\r\n', 'hello'),
  post('content-length-thrice', 'Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 5\r\n', 'hello'),
  post('content-length-blank-before-colon', 'Content-Length : 5\r\n', 'hello'),
  post('content-length-tab-before-colon', 'Content-Length\t: 5\r\n', 'hello'),
  post('content-length-leading-blank', ' Content-Length: 5\r\n', 'hello'),
  post('content-length-blank-in-name', 'Content Length: 5\r\n', 'hello'),
  post('content-length-underscore-in-name', 'Content_Length: 5\r\n', 'hello'),
  post('content-length-underscore-beside', 'Content-Length: 5\r\nContent_Length: 0\r\n', 'hello'),
  post('content-length-nul-in-name', 'Content-Length\0: 5\r\n', 'hello'),
  post('content-length-no-colon', 'Content-Length 5\r\n', 'hello'),
  post('content-length-equals', 'Content-Length=5\r\n', 'hello'),
  post('content-length-folded', 'Content-Length:\r\n 5\r\n', 'hello'),
];

const CODINGS: readonly SmugglingCase[] = [
  ...(
    [
      ['xchunked', 'xchunked', 501],
      ['chunkedx', 'chunkedx', 501],
      ['chunked-twice-in-word', 'chunkedchunked', 501],
      ['identity', 'identity', 501],
      ['gzip', 'gzip', 501],
      ['gzip-chunked', 'gzip, chunked', 501],
      ['deflate-chunked-tight', 'deflate,chunked', 501],
      ['identity-chunked', 'identity, chunked', 501],
      ['cow', 'cow', 501],
      ['trailers', 'trailers', 501],
      ['inner-blank', 'c hunked', 501],
      ['chunked-gzip', 'chunked, gzip', 400],
      ['chunked-identity', 'chunked, identity', 400],
      ['chunked-chunked', 'chunked, chunked', 400],
      ['comma-first', ', chunked', 400],
      ['comma-last', 'chunked,', 400],
      ['comma-only', ',', 400],
      ['quoted', '"chunked"', 400],
      ['single-quoted', "'chunked'", 501],
      ['parameter', 'chunked;q=1', 400],
      ['parameter-open', 'chunked;', 400],
      ['blank-in-the-middle', 'chunked chunked', 400],
      ['empty', '', 400],
      ['vertical-tab', '\x0bchunked', 400],
      ['vertical-tab-after', 'chunked\x0b', 400],
      ['form-feed', '\x0cchunked', 400],
      ['nul', 'chunked\0', 400],
      ['tab-behind', 'chunked\t', 400],
      ['blank-and-tab-behind', 'chunked \t', 400],
      ['next-line', 'chunked\x85', 400],
      ['nbsp', '\xa0chunked', 400],
      ['nbsp-after', 'chunked\xa0', 400],
      ['del', '\x7fchunked', 400],
      ['colon', ': chunked', 400],
      ['bracket', '[chunked]', 400],
      ['slash', 'chunked/1', 400],
      ['escaped', '\\chunked', 400],
    ] as const
  ).map(([name, value, status]) => post(`transfer-encoding-${name}`, `Transfer-Encoding: ${value}\r\n`, CHUNKED_ATTACK, status)),
  post('transfer-encoding-twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-chunked-then-cow', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-cow-then-chunked', 'Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n', CHUNKED_ATTACK, 501),
  post(
    'transfer-encoding-chunked-then-identity',
    'Transfer-Encoding: chunked\r\nTransfer-encoding: identity\r\n',
    CHUNKED_ATTACK,
  ),
  post('transfer-encoding-empty-then-chunked', 'Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-blank-before-colon', 'Transfer-Encoding : chunked\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-tab-before-colon', 'Transfer-Encoding\t: chunked\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-vt-before-colon', 'Transfer-Encoding\x0b: chunked\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-nul-in-name', 'Transfer-Encoding\0: chunked\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-obs-text-in-name', 'Transfer-Encod\xefng: chunked\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-leading-blank', ' Transfer-Encoding: chunked\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-leading-tab', '\tTransfer-Encoding: chunked\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-blank-in-name', 'Transfer Encoding: chunked\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-underscore', 'Transfer_Encoding: chunked\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-folded', 'Transfer-Encoding:\r\n chunked\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-folded-tab', 'Transfer-Encoding:\r\n\tchunked\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-folded-after', 'Transfer-Encoding: chunked\r\n , identity\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-lf-before-value', 'Transfer-Encoding:\nchunked\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-in-value-by-lf', 'X: y\nTransfer-Encoding: chunked\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-in-value-by-cr', 'X: y\rTransfer-Encoding: chunked\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-in-name-by-lf', 'X\nTransfer-Encoding: chunked\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-no-colon', 'Transfer-Encoding chunked\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-bare-cr-end', 'Transfer-Encoding: chunked\rX: y\r\n', CHUNKED_ATTACK),
  post('transfer-encoding-cr-cr-lf', 'Transfer-Encoding: chunked\r\r\n', CHUNKED_ATTACK),
  head('transfer-encoding-http10', `POST /x HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${CHUNKED_ATTACK}`),
  head(
    'transfer-encoding-http10-keep',
    `POST /x HTTP/1.0\r\n${HOST}Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED_ATTACK}`,
  ),
];

const LINE_ENDS: readonly SmugglingCase[] = [
  head('lf-everywhere', 'GET /x HTTP/1.1\nHost: app.test\n\n'),
  head('lf-after-start-line', `GET /x HTTP/1.1\n${HOST}\r\n`),
  head('lf-after-field', `GET /x HTTP/1.1\r\nHost: app.test\nX: y\r\n\r\n`),
  head('lf-after-empty-value', `GET /x HTTP/1.1\r\n${HOST}X:\nY: z\r\n\r\n`),
  head('lf-ends-head', `GET /x HTTP/1.1\r\n${HOST}\n${ATTACK}`),
  head('lf-before-request', `\nGET /x HTTP/1.1\r\n${HOST}\r\n`),
  head('lf-in-target', `GET /x\n HTTP/1.1\r\n${HOST}\r\n`),
  head('lf-in-name', `GET /x HTTP/1.1\r\n${HOST}X\n: y\r\n\r\n`),
  head('cr-after-start-line', `GET /x HTTP/1.1\r${HOST}\r\n`),
  head('cr-after-field', `GET /x HTTP/1.1\r\nHost: app.test\rX: y\r\n\r\n`),
  head('cr-ends-head', `GET /x HTTP/1.1\r\n${HOST}\r${ATTACK}`),
  head('cr-before-request', `\rGET /x HTTP/1.1\r\n${HOST}\r\n`),
  head('cr-cr-lf-start-line', `GET /x HTTP/1.1\r\r\n${HOST}\r\n`),
  head('cr-cr-lf-field', `GET /x HTTP/1.1\r\nHost: app.test\r\r\n\r\n`),
  head('cr-cr-lf-end', `GET /x HTTP/1.1\r\n${HOST}\r\r\n`),
  head('cr-in-value', `GET /x HTTP/1.1\r\n${HOST}X: a\rb\r\n\r\n`),
  head('cr-in-name', `GET /x HTTP/1.1\r\n${HOST}X\ry: b\r\n\r\n`),
  head('cr-z-at-end', `GET /x HTTP/1.1\r\n${HOST}\rZ${ATTACK}`),
  head('lf-cr', `GET /x HTTP/1.1\n\r${HOST}\n\r`),
  head('five-empty-lines', `${'\r\n'.repeat(5)}GET /x HTTP/1.1\r\n${HOST}\r\n`),
  head('fold-blank', `GET /x HTTP/1.1\r\n${HOST}X: a\r\n b\r\n\r\n`),
  head('fold-tab', `GET /x HTTP/1.1\r\n${HOST}X: a\r\n\tb\r\n\r\n`),
  head('fold-empty', `GET /x HTTP/1.1\r\n${HOST}X: a\r\n \r\n\r\n`),
  head('fold-hides-length', `POST /x HTTP/1.1\r\n${HOST}X: a\r\n Content-Length: 5\r\n\r\nhello`),
  head('fold-of-host', 'GET /x HTTP/1.1\r\nHost:\r\n app.test\r\n\r\n'),
  head('blank-after-start-line', `GET /x HTTP/1.1\r\n ${HOST}\r\n`),
  head('tab-after-start-line', `GET /x HTTP/1.1\r\n\tX: y\r\n${HOST}\r\n`),
];

const CONTROLS = Array.from({ length: 33 }, (_, byte) => (byte === 32 ? 127 : byte)).filter((byte) => byte !== 10 && byte !== 13);

const FIELDS: readonly SmugglingCase[] = [
  ...CONTROLS.filter((byte) => byte !== 9).map((byte) => field(`value-byte-${hex(byte)}`, `X: a${String.fromCharCode(byte)}b`)),
  ...[...CONTROLS, 0x80, 0xff].map((byte) => field(`name-byte-${hex(byte)}`, `X${String.fromCharCode(byte)}y: b`)),
  ...Array.from('"(),/;<=>?@[\\]{}', (mark) => field(`name-mark-${hex(mark.charCodeAt(0))}`, `X${mark}y: b`)),
  field('name-empty', ': b'),
  field('name-blank', ' : b'),
  field('name-blank-before-colon', 'X : b'),
  field('no-colon', 'Xb'),
  field('no-colon-blank', 'X b'),
  field('start-line-as-field', 'GET /smuggled HTTP/1.1'),
  field('fields-101', Array.from({ length: 100 }, (_, index) => `X-${index}: y`).join('\r\n'), 431),
  field('value-17k', `X: ${'a'.repeat(17_000)}`, 431),
  field('name-17k', `${'a'.repeat(17_000)}: b`, 431),
  target('target-17k', `/${'a'.repeat(17_000)}`, 'app.test', 431),
];

const START_LINES: readonly SmugglingCase[] = [
  startLine('version-0.9', 'GET /x HTTP/0.9', 505),
  startLine('version-1.2', 'GET /x HTTP/1.2', 505),
  startLine('version-1.9', 'GET /x HTTP/1.9', 505),
  startLine('version-2.0', 'GET /x HTTP/2.0', 505),
  startLine('version-3.0', 'GET /x HTTP/3.0', 505),
  startLine('version-5.6', 'GET /x HTTP/5.6', 505),
  startLine('version-none', 'GET /x'),
  startLine('version-blank', 'GET /x '),
  startLine('version-1.10', 'GET /x HTTP/1.10'),
  startLine('version-01.1', 'GET /x HTTP/01.1'),
  startLine('version-1.1x', 'GET /x HTTP/1.1x'),
  startLine('version-trailing-blank', 'GET /x HTTP/1.1 '),
  startLine('version-comma', 'GET /x HTTP/1,1'),
  startLine('version-lower', 'GET /x http/1.1'),
  startLine('version-mixed', 'GET /x Http/1.1'),
  startLine('version-2', 'GET /x HTTP/2'),
  startLine('version-letter', 'GET /x HTTP/1.a'),
  startLine('version-rtsp', 'GET /x RTSP/1.0'),
  startLine('version-ice', 'SOURCE /x ICE/1.0'),
  startLine('version-https', 'GET /x HTTPS/1.1'),
  startLine('version-blank-inside', 'GET /x HTTP/ 1.1'),
  startLine('version-twice', 'GET /x HTTP/1.1 HTTP/1.1'),
  startLine('two-blanks-before-target', 'GET  /x HTTP/1.1'),
  startLine('two-blanks-before-version', 'GET /x  HTTP/1.1'),
  startLine('tab-before-target', 'GET\t/x HTTP/1.1'),
  startLine('tab-before-version', 'GET /x\tHTTP/1.1'),
  startLine('blank-first', ' GET /x HTTP/1.1'),
  startLine('tab-first', '\tGET /x HTTP/1.1'),
  startLine('method-lower', 'get /x HTTP/1.1'),
  startLine('method-mixed', 'gEt /x HTTP/1.1'),
  startLine('method-unknown', 'MKCOLA /x HTTP/1.1'),
  startLine('method-pri', 'PRI * HTTP/1.1'),
  startLine('method-preface', 'PRI * HTTP/2.0'),
  startLine('method-marks', 'GE@T /x HTTP/1.1'),
  startLine('method-nul', 'GET\0 /x HTTP/1.1'),
  startLine('method-obs-text', 'G\xcbT /x HTTP/1.1'),
  startLine('method-hyphen', 'M-SEARCH * HTTP/1.1'),
  startLine('method-connect', 'CONNECT app.test:443 HTTP/1.1', 501),
  startLine('method-connect-path', 'CONNECT /x HTTP/1.1', 501),
  startLine('method-long', `${'A'.repeat(40)} /x HTTP/1.1`),
  startLine('response-as-request', 'HTTP/1.1 200 OK'),
];

const TARGETS: readonly SmugglingCase[] = [
  target('target-fragment', '/x#y'),
  target('target-fragment-empty', '/x#'),
  target('target-fragment-in-query', '/x?y#z'),
  target('target-fragment-first', '#/x'),
  target('target-relative', 'x'),
  target('target-empty-query', '?x'),
  target('target-asterisk-get', '*'),
  target('target-authority', 'app.test:80'),
  target('target-dot-dot', '../x'),
  target('target-backslash-first', '\\x'),
  target('target-nul-escape', '/x%00'),
  target('target-nul-escape-in-dots', '/x/.%00./y'),
  target('target-bad-escape', '/x%zz'),
  target('target-open-escape', '/x%'),
  target('target-half-escape', '/x%4'),
  target('target-double-percent', '/x%%41'),
  target('target-unicode-escape', '/x%u002f'),
  ...[0, 1, 9, 0x0b, 0x0c, 0x1f, 0x7f, 0x80, 0xa0, 0xff].map((byte) =>
    target(`target-byte-${hex(byte)}`, `/x${String.fromCharCode(byte)}y`),
  ),
  target('target-query-byte-80', '/x?\x80'),
  target('target-blank', '/x y'),
  target('absolute-other-host', 'http://other.test/x'),
  target('absolute-other-port', 'http://app.test:81/x'),
  target('absolute-https-port', 'https://app.test/x', 'app.test:80'),
  target('absolute-user-info', 'http://app.test@other.test/x'),
  target('absolute-user-info-of-host', 'http://user@app.test/x'),
  target('absolute-empty-host', 'http:///x'),
  target('absolute-ftp', 'ftp://app.test/x'),
  target('absolute-no-scheme', '://app.test/x'),
  target('absolute-one-slash', 'http:/app.test/x'),
  target('absolute-backslashes', 'http:\\\\app.test\\x'),
  target('absolute-fragment', 'http://app.test/x#y'),
  target('absolute-fragment-in-host', 'http://app.test#/x'),
  target('absolute-bad-port', 'http://app.test:x/'),
  head('absolute-without-host', 'GET http://app.test/x HTTP/1.1\r\n\r\n'),
];

const HOSTS: readonly SmugglingCase[] = [
  host('host-none', ''),
  head('host-none-http10', 'GET /x HTTP/1.0\r\n\r\n'),
  host('host-twice-differs', `${HOST}Host: other.test\r\n`),
  host('host-twice-same', `${HOST}${HOST}`),
  host('host-twice-apart', `${HOST}X: y\r\nhost: other.test\r\n`),
  host('host-empty', 'Host:\r\n'),
  host('host-blank', 'Host: app.test other.test\r\n'),
  host('host-comma', 'Host: app.test,other.test\r\n'),
  host('host-comma-blank', 'Host: app.test, other.test\r\n'),
  host('host-user-info', 'Host: user@app.test\r\n'),
  host('host-slash', 'Host: app.test/x\r\n'),
  host('host-backslash', 'Host: app.test\\x\r\n'),
  host('host-query', 'Host: app.test?x\r\n'),
  host('host-fragment', 'Host: app.test#x\r\n'),
  host('host-url', 'Host: http://app.test\r\n'),
  host('host-escape', 'Host: app%2etest\r\n'),
  host('host-obs-text', 'Host: \xe4pp.test\r\n'),
  host('host-port-letters', 'Host: app.test:http\r\n'),
  host('host-port-large', 'Host: app.test:65536\r\n'),
  host('host-port-long', 'Host: app.test:000080\r\n'),
  host('host-port-zero', 'Host: app.test:0\r\n'),
  host('host-port-minus', 'Host: app.test:-1\r\n'),
  host('host-port-twice', 'Host: app.test:80:80\r\n'),
  host('host-port-only', 'Host: :80\r\n'),
  host('host-dot-only', 'Host: .\r\n'),
  host('host-two-dots', 'Host: app.test..\r\n'),
  host('host-ipv6-open', 'Host: [::1\r\n'),
  host('host-ipv6-bare', 'Host: ::1\r\n'),
  host('host-ipv6-junk', 'Host: [app]\r\n'),
  host('host-ipv6-zone', 'Host: [fe80::1%25eth0]\r\n'),
  host('host-ipv6-tail', 'Host: [::1]x\r\n'),
  host('host-bracket-in-name', 'Host: a[b\r\n'),
  host('host-long', `Host: ${'a'.repeat(400)}\r\n`),
  host('host-blank-before-colon', 'Host : app.test\r\n'),
];

const CONNECTIONS: readonly SmugglingCase[] = [
  ...[
    'host',
    'Content-Length',
    'transfer-encoding',
    'authorization',
    'cookie',
    'proxy-authorization',
    'expect',
    'forwarded',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded-proto',
    'X-Forwarded-Client-Cert',
    'x_forwarded_client_cert',
    'x-forwarded-anything',
    'x-real-ip',
    'x-request-id',
    'x-original-url',
    'x-rewrite-url',
    'client-cert',
    'x-postern-reason',
    'x-postern-new',
    'x-envoy-peer-metadata',
    'x-envoy-peer-metadata-id',
  ].map((name) => field(`connection-names-${name.toLowerCase()}`, `Connection: keep-alive, ${name}`)),
  field('connection-names-second-line', 'Connection: close\r\nConnection: x-forwarded-client-cert'),
  field('connection-no-token', 'Connection: clo@se'),
  field('connection-parameter', 'Connection: close;x=1'),
  field('connection-quoted', 'Connection: "close"'),
  field('connection-blank-in-option', 'Connection: x-forwarded -client-cert'),
  field('connection-33-options', `Connection: ${'x,'.repeat(33)}`),
  ...[
    'X_Forwarded_Client_Cert',
    'x_forwarded_for',
    'x_forwarded_proto',
    'x_real_ip',
    'x_request_id',
    'x_postern_reason',
    'x_envoy_peer_metadata',
    'client_cert',
    'proxy_authorization',
  ].map((name) => field(`underscore-${name.toLowerCase().replaceAll('_', '-')}`, `${name}: spiffe://demo.mesh/ns/a/sa/b`)),
  field('underscore-one-of-two', 'x-forwarded_client-cert: URI=spiffe://demo.mesh/ns/a/sa/b'),
  field('authorization-twice', 'Authorization: Bearer a\r\nAuthorization: Bearer b'),
  field('content-type-twice', 'Content-Type: text/plain\r\nContent-Type: application/json'),
  field('expect-other', 'Expect: 200-maybe', 417),
  field('expect-empty', 'Expect:', 417),
  field('expect-list', 'Expect: 100-continue, x', 417),
  field('upgrade-h2c', 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__', 501),
  field('upgrade-unknown', 'Connection: Upgrade\r\nUpgrade: ws/9', 501),
];

const BODIES: readonly SmugglingCase[] = [
  ...(
    [
      ['empty', '\r\n'],
      ['blank', ' 5\r\nhello\r\n'],
      ['blank-after', '5 \r\nhello\r\n'],
      ['tab-after', '5\t\r\nhello\r\n'],
      ['hex-prefix', '0x5\r\nhello\r\n'],
      ['plus', '+5\r\nhello\r\n'],
      ['minus', '-5\r\nhello\r\n'],
      ['not-hex', '5g\r\nhello\r\n'],
      ['underscore', '0_5\r\nhello\r\n'],
      ['dot', '5.0\r\nhello\r\n'],
      ['comma', '5,5\r\nhello\r\n'],
      ['quoted', '"5"\r\nhello\r\n'],
      ['thirteen-digits', '0000000000005\r\nhello\r\n'],
      ['overflow', 'ffffffffffffffff5\r\nhello\r\n'],
      ['nul', '5\0\r\nhello\r\n'],
      ['obs-text', '5\x85\r\nhello\r\n'],
      ['vertical-tab', '5\x0b\r\nhello\r\n'],
      ['lf', '5\nhello\r\n'],
      ['cr', '5\rhello\r\n'],
      ['cr-cr-lf', '5\r\r\nhello\r\n'],
      ['cr-in-size', '5\r\r;ABCD\r\nhello\r\n'],
      ['http', 'GET / HTTP/1.1\r\n'],
    ] as const
  ).map(([name, tail]) => body(`chunk-size-${name}`, `${tail}${CHUNKED_ATTACK}`)),
  ...(
    [
      ['open', '5;\r\n'],
      ['blank', '5; a\r\n'],
      ['blank-before', '5 ;a\r\n'],
      ['blank-after-name', '5;a \r\n'],
      ['equals-only', '5;=\r\n'],
      ['no-value', '5;a=\r\n'],
      ['two-equals', '5;a==b\r\n'],
      ['lf', '5;a\nb\r\n'],
      ['lf-end', '5;a\n'],
      ['cr', '5;a\rb\r\n'],
      ['nul', '5;a\0\r\n'],
      ['obs-text', '5;\xe4\r\n'],
      ['open-quote', '5;a="b\r\n'],
      ['after-quote', '5;a="b"c\r\n'],
      ['quoted-lf', '5;a="b\n"\r\n'],
      ['quoted-cr', '5;a="b\r"\r\n'],
      ['quoted-pair-lf', '5;a="b\\\n"\r\n'],
      ['quoted-nul', '5;a="\0"\r\n'],
      ['semicolon-twice', '5;;a\r\n'],
      ['comma', '5;a,b\r\n'],
      ['too-large', `5;${'a'.repeat(5000)}\r\n`],
    ] as const
  ).map(([name, line]) => body(`chunk-extension-${name}`, `${line}hello\r\n${CHUNKED_ATTACK}`)),
  body('chunk-extensions-add-up', `${`1;${'a'.repeat(500)}\r\nx\r\n`.repeat(9)}${CHUNKED_ATTACK}`),
  body('chunk-data-too-short', `6\r\nhello\r\n${CHUNKED_ATTACK}`),
  body('chunk-data-too-long', `4\r\nhello\r\n${CHUNKED_ATTACK}`),
  body('chunk-data-lf', `5\r\nhello\n${CHUNKED_ATTACK}`),
  body('chunk-data-cr', `5\r\nhello\r${CHUNKED_ATTACK}`),
  body('chunk-data-no-end', `5\r\nhello${CHUNKED_ATTACK}`),
  body('chunk-data-blank-end', `5\r\nhello \r\n${CHUNKED_ATTACK}`),
  body('chunk-data-two-ends', `5\r\nhello\r\n\r\n${CHUNKED_ATTACK}`),
  body('last-chunk-lf', `0\n\r\n${ATTACK}`),
  body('last-chunk-end-lf', `0\r\n\n${ATTACK}`),
  body('last-chunk-end-cr', `0\r\n\r${ATTACK}`),
  body('last-chunk-blank', `0 \r\n\r\n${ATTACK}`),
  body('trailer-no-colon', `0\r\nX\r\n\r\n${ATTACK}`),
  body('trailer-request-line', `0\r\nGET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n`),
  body('trailer-blank-before-colon', `0\r\nX : y\r\n\r\n${ATTACK}`),
  body('trailer-folded', `0\r\nX: y\r\n z\r\n\r\n${ATTACK}`),
  body('trailer-leading-blank', `0\r\n X: y\r\n\r\n${ATTACK}`),
  body('trailer-lf', `0\r\nX: y\n\r\n${ATTACK}`),
  body('trailer-cr', `0\r\nX: y\rZ: a\r\n\r\n${ATTACK}`),
  body('trailer-nul', `0\r\nX: \0\r\n\r\n${ATTACK}`),
  body('trailer-empty-name', `0\r\n: y\r\n\r\n${ATTACK}`),
  body('trailers-too-many', `0\r\n${'X: y\r\n'.repeat(65)}\r\n${ATTACK}`),
  body('trailers-too-large', `0\r\nX: ${'a'.repeat(9000)}\r\n\r\n${ATTACK}`),
];

const PLAIN = `GET /x HTTP/1.1\r\n${HOST}`;

const ALLOWED: readonly SmugglingCase[] = [
  allowed('plain', `${PLAIN}\r\n`, [got('/x')]),
  allowed('empty-line-first', `\r\n${PLAIN}\r\n`, [got('/x')]),
  allowed('four-empty-lines-first', `\r\n\r\n\r\n\r\n${PLAIN}\r\n`, [got('/x')]),
  allowed('pipelined', `${PLAIN}\r\n${PLAIN}\r\n`, [got('/x'), got('/x')]),
  allowed('pipelined-empty-line-between', `${PLAIN}\r\n\r\n${PLAIN}\r\n`, [got('/x'), got('/x')]),
  allowed('pipelined-second-bad', `${PLAIN}\r\n${PLAIN}X : y\r\n\r\n`, [got('/x')], [200, 400]),
  allowed(
    'pipelined-second-two-framings',
    `${PLAIN}\r\nPOST /y HTTP/1.1\r\n${HOST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
    [got('/x')],
    [200, 400],
  ),
  allowed('after-close-nothing', `${PLAIN}Connection: close\r\n\r\n${ATTACK}`, [got('/x')]),
  allowed('http10', `GET /x HTTP/1.0\r\n${HOST}\r\n`, [got('/x')]),
  allowed('http10-nothing-after', `GET /x HTTP/1.0\r\n${HOST}\r\n${ATTACK}`, [got('/x')]),
  allowed('length', `POST /x HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`, [got('/x', 'hello')]),
  allowed('length-leading-zeros', `POST /x HTTP/1.1\r\n${HOST}Content-Length: 005\r\n\r\nhello`, [got('/x', 'hello')]),
  allowed('length-blanks-around', `POST /x HTTP/1.1\r\n${HOST}Content-Length: \t5 \t\r\n\r\nhello`, [got('/x', 'hello')]),
  allowed('length-zero', `POST /x HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`, [got('/x', '', 'POST')]),
  allowed('length-then-next', `POST /x HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello${PLAIN}\r\n`, [
    got('/x', 'hello'),
    got('/x'),
  ]),
  allowed('body-that-looks-like-a-request', `POST /x HTTP/1.1\r\n${HOST}Content-Length: ${ATTACK.length}\r\n\r\n${ATTACK}`, [
    got('/x', ATTACK),
  ]),
  allowed('length-on-get', `GET /x HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`, [got('/x', 'hello', 'GET')]),
  allowed('chunked', `POST /x HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`, [
    got('/x', 'hello'),
  ]),
  allowed('chunked-upper', `POST /x HTTP/1.1\r\n${HOST}TRANSFER-ENCODING: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n`, [
    got('/x', 'hello'),
  ]),
  allowed('chunked-blanks-around', `POST /x HTTP/1.1\r\n${HOST}Transfer-Encoding: \tchunked \r\n\r\n5\r\nhello\r\n0\r\n\r\n`, [
    got('/x', 'hello'),
  ]),
  allowed('chunked-zeros', `POST /x HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n000000000005\r\nhello\r\n000\r\n\r\n`, [
    got('/x', 'hello'),
  ]),
  allowed(
    'chunked-extensions',
    `POST /x HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5;a;b=c;d="e;\\"f"\r\nhello\r\n0;z\r\n\r\n`,
    [got('/x', 'hello')],
  ),
  allowed('chunked-on-get', `GET /x HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`, [
    got('/x', 'hello', 'GET'),
  ]),
  allowed('chunked-trailer', `POST /x HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n`, [
    got('/x', 'hello'),
  ]),
  allowed(
    'chunked-trailer-framing',
    `POST /x HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 50\r\nTransfer-Encoding: x\r\nHost: b\r\n\r\n`,
    [got('/x', 'hello')],
  ),
  allowed(
    'chunked-trailer-identity',
    `POST /x HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx_forwarded_client_cert: a\r\nAuthorization: b\r\n\r\n`,
    [got('/x', 'hello')],
  ),
  allowed('chunked-then-next', `POST /x HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n${PLAIN}\r\n`, [
    got('/x', '', 'POST'),
    got('/x'),
  ]),
  allowed('continue', `POST /x HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello`, [got('/x', 'hello')]),
  allowed('connection-names-own-field', `${PLAIN}Connection: x-hop\r\nX-Hop: 1\r\n\r\n`, [got('/x')]),
  allowed('connection-empty-elements', `${PLAIN}Connection: , ,keep-alive,,\r\n\r\n`, [got('/x')]),
  allowed('te-trailers', `${PLAIN}Connection: TE\r\nTE: trailers\r\n\r\n`, [got('/x')]),
  allowed('te-gzip', `${PLAIN}Connection: TE\r\nTE: gzip\r\n\r\n`, [got('/x')]),
  allowed('client-cert-said', `${PLAIN}X-Forwarded-Client-Cert: URI=spiffe://demo.mesh/ns/a/sa/admin\r\n\r\n`, [got('/x')]),
  allowed('underscore-harmless', `${PLAIN}x_trace: 1\r\n\r\n`, [got('/x')]),
  allowed('value-obs-text', `${PLAIN}X: D\xfcsseldorf\r\n\r\n`, [got('/x')]),
  allowed('value-tab', `${PLAIN}X: a\tb\r\n\r\n`, [got('/x')]),
  allowed('value-empty', `${PLAIN}X:\r\n\r\n`, [got('/x')]),
  allowed('x-transfer-encoding', `${PLAIN}X-Transfer-Encoding: chunked\r\n\r\n`, [got('/x')]),
  allowed('absolute-same-host', `GET http://app.test/x HTTP/1.1\r\n${HOST}\r\n`, [got('/x')]),
  allowed('absolute-default-port', `GET HTTP://APP.test:80/x HTTP/1.1\r\n${HOST}\r\n`, [got('/x')]),
  allowed('absolute-no-path', `GET http://app.test?q HTTP/1.1\r\n${HOST}\r\n`, [got('/?q')]),
  allowed('options-asterisk', `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, [got('*', '', 'OPTIONS')]),
  allowed('dot-segments', `GET /a/../x HTTP/1.1\r\n${HOST}\r\n`, [got('/x')]),
  allowed('dot-segments-escaped', `GET /a/%2e%2E/x HTTP/1.1\r\n${HOST}\r\n`, [got('/x')]),
  allowed('dot-segment-with-parameter', `GET /a/..;/x HTTP/1.1\r\n${HOST}\r\n`, [got('/x')]),
  allowed('backslash', `GET /a\\..\\x HTTP/1.1\r\n${HOST}\r\n`, [got('/x')]),
  allowed('unreserved-escaped', `GET /%78?%78 HTTP/1.1\r\n${HOST}\r\n`, [got('/x?%78')]),
  allowed('host-trailing-dot', `GET /x HTTP/1.1\r\nHost: App.Test.:80\r\n\r\n`, [got('/x')]),
  allowed('host-ipv6', `GET /x HTTP/1.1\r\nHost: [::1]:80\r\n\r\n`, [got('/x')]),
];

/** Every case; ids are unique. */
export const SMUGGLING_CASES: readonly SmugglingCase[] = [
  ...CONFLICTS,
  ...LENGTHS,
  ...CODINGS,
  ...LINE_ENDS,
  ...FIELDS,
  ...START_LINES,
  ...TARGETS,
  ...HOSTS,
  ...CONNECTIONS,
  ...BODIES,
  ...ALLOWED,
];
