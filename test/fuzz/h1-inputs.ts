/**
 * Random HTTP/1.x bytes that lie near the grammar: realistic messages and the smuggling corpus, changed in a few places. A seed gives
 * the same inputs again.
 */
import { SMUGGLING_CASES } from '#test/conformance/http/smuggling.cases.ts';

/** mulberry32: small, seeded, and good enough to pick bytes with. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer from 0 to below `bound`. */
  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError('Cannot pick from an empty list');
    return item;
  }
}

/** Bytes of one or more requests on a connection. */
export function randomRequests(random: Random): Buffer {
  const seed =
    random.below(3) === 0 ? random.pick(SMUGGLING_CASES).raw(random.below(3)).toString('latin1') : wellFormedRequest(random);
  return mutate(random, random.below(4) === 0 ? seed + wellFormedRequest(random) : seed);
}

/** Bytes of one or more responses on a connection. */
export function randomResponses(random: Random): Buffer {
  const seed = wellFormedResponse(random);
  return mutate(random, random.below(4) === 0 ? seed + wellFormedResponse(random) : seed);
}

function wellFormedRequest(random: Random): string {
  const method = random.pick(METHODS);
  const line = `${method} ${random.pick(TARGETS)} HTTP/1.${random.below(8) === 0 ? 0 : 1}\r\n`;
  return line + fields(random) + message(random);
}

function wellFormedResponse(random: Random): string {
  const line = `HTTP/1.${random.below(8) === 0 ? 0 : 1} ${random.pick(STATUSES)} ${random.pick(['OK', '', 'Not Found', 'a\tb'])}\r\n`;
  return line + fields(random) + message(random);
}

function fields(random: Random): string {
  let text = '';
  for (let count = random.below(6); count > 0; count--) text += random.pick(FIELDS) + '\r\n';
  return text;
}

function message(random: Random): string {
  switch (random.below(4)) {
    case 0:
      return '\r\n';
    case 1: {
      const length = random.below(40);
      return `Content-Length: ${length}\r\n\r\n${'b'.repeat(length)}`;
    }
    default: {
      let text = 'Transfer-Encoding: chunked\r\n\r\n';
      for (let count = random.below(4); count > 0; count--) {
        const size = 1 + random.below(40);
        text += `${size.toString(16)}${random.pick(EXTENSIONS)}\r\n${'c'.repeat(size)}\r\n`;
      }
      return `${text}0${random.pick(EXTENSIONS)}\r\n${random.pick(TRAILERS)}\r\n`;
    }
  }
}

/** Leaves a third as it is; else inserts, deletes, replaces or repeats a few pieces. */
function mutate(random: Random, text: string): Buffer {
  let bytes = text;
  for (let changes = random.below(3) === 0 ? 0 : 1 + random.below(3); changes > 0; changes--) {
    const at = random.below(bytes.length + 1);
    const end = Math.min(bytes.length, at + 1 + random.below(4));
    const piece = random.below(3) === 0 ? String.fromCharCode(random.below(256)) : random.pick(PIECES);
    switch (random.below(4)) {
      case 0:
        bytes = bytes.slice(0, at) + piece + bytes.slice(at);
        break;
      case 1:
        bytes = bytes.slice(0, at) + bytes.slice(end);
        break;
      case 2:
        bytes = bytes.slice(0, at) + piece + bytes.slice(end);
        break;
      default:
        bytes = bytes.slice(0, end) + bytes.slice(at);
    }
  }
  return Buffer.from(bytes, 'latin1');
}

const METHODS = ['GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'QUERY', 'M-SEARCH', 'CONNECT'];
const TARGETS = ['/', '/a/b?c=d', '*', 'http://app.test/x', 'app.test:443', '/%2e%2e/x', '/a;b=c', '/"x"', '?', '//'];
const STATUSES = ['200', '204', '304', '100', '101', '103', '404', '500', '599', '201'];
const FIELDS = [
  'Host: app.test',
  'Connection: keep-alive',
  'Connection: close',
  'Connection: Upgrade, x',
  'Upgrade: websocket',
  'Expect: 100-continue',
  'Accept: */*',
  'X:',
  'X: \t ',
  'Cookie: a=b; c=d',
  'x_under: 1',
  'TE: trailers',
  'Name: D\xfcsseldorf',
  'Content-Length: 3',
  'Content-Length: 003 ',
  'Transfer-Encoding: chunked ',
  'Keep-Alive: timeout=5',
];
const EXTENSIONS = ['', '', '', ';a', ';a=b', ';a="b c"', ';a;b="\\""'];
const TRAILERS = ['', '', 'X-Sum: 1\r\n', 'A: b\r\nC:\r\n'];
const PIECES = [
  '\r\n',
  '\n',
  '\r',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '"',
  '0',
  '5',
  'x',
  '-',
  '_',
  '\0',
  '\x0b',
  '\x7f',
  '\x80',
  '#',
  'chunked',
  'Transfer-Encoding: chunked\r\n',
  'Content-Length: 5\r\n',
  'Connection: close\r\n',
  'HTTP/1.1',
  'HTTP/1.0',
  '0\r\n\r\n',
  '\r\n\r\n',
];
