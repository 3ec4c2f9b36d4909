/**
 * node:http's own llhttp as a peer to compare with: the parser that most apps behind a sidecar on this platform read requests with.
 * Strict, as node:http starts it.
 */
import { METHODS } from 'node:http';
import { createRequire } from 'node:module';

import type { ParsedMessage } from '#cli/verbs/http-parse.ts';

/** What llhttp made of some bytes. */
export interface NativeResult {
  /** Messages that are complete. */
  readonly messages: readonly ParsedMessage[];
  /** llhttp's code of the error that ended it, null without one. */
  readonly error: string | null;
  /** Bytes that were looked at before it stopped; all of them unless the protocol changes or an error ends it. */
  readonly consumed: number;
}

/** Parses message after message, as `parseMessages` does. */
export function parseNatively(kind: 'request' | 'response', bytes: Buffer, requestMethod: string, isEof: boolean): NativeResult {
  const parser = new HTTPParser();
  parser.initialize(kind === 'request' ? HTTPParser.REQUEST : HTTPParser.RESPONSE, {}, 65_536, HTTPParser.kLenientNone);
  const messages: ParsedMessage[] = [];
  let line: Partial<ParsedMessage> = {};
  let fields: string[] = [];
  let trailers: string[] = [];
  let body: Buffer[] = [];
  let isHeadDone = false;
  let target = '';
  const take = (list: readonly string[]): void => {
    (isHeadDone ? trailers : fields).push(...list);
  };
  parser[HTTPParser.kOnMessageBegin] = () => {
    fields = [];
    trailers = [];
    body = [];
    isHeadDone = false;
    target = '';
  };
  parser[HTTPParser.kOnHeaders] = (list: readonly string[], url: string) => {
    take(list);
    target += url;
  };
  parser[HTTPParser.kOnHeadersComplete] = (
    _major: number,
    minor: number,
    list: readonly string[] | undefined,
    method: number,
    url: string | undefined,
    status: number | undefined,
    reason: string | undefined,
  ) => {
    if (list !== undefined) take(list);
    isHeadDone = true;
    const version = `1.${minor}`;
    line =
      kind === 'request'
        ? { method: METHOD_NAMES.get(method) ?? '', target: target + (url ?? ''), version }
        : { status: status ?? 0, reason: reason ?? '', version };
    return kind === 'response' && requestMethod === 'HEAD' ? 1 : 0;
  };
  parser[HTTPParser.kOnBody] = (run: Buffer) => {
    body.push(Buffer.from(run));
  };
  parser[HTTPParser.kOnMessageComplete] = () => {
    messages.push({
      ...line,
      version: line.version ?? '',
      headers: pairs(fields),
      body: Buffer.concat(body).toString('base64'),
      trailers: pairs(trailers),
    });
  };
  // The parser keeps no bytes and may change them in no way; a copy rules both out.
  const result = parser.execute(Buffer.from(bytes));
  if (typeof result !== 'number') return { messages, error: result.code, consumed: result.bytesParsed };
  const end = isEof && result === bytes.length ? parser.finish() : undefined;
  return { messages, error: end === undefined ? null : end.code, consumed: result };
}

interface NativeError extends Error {
  readonly code: string;
  readonly bytesParsed: number;
}

interface NativeParser {
  initialize(type: number, resource: object, maxHeaderSize: number, lenientFlags: number): void;
  execute(bytes: Buffer): number | NativeError;
  finish(): NativeError | undefined;
  // Callbacks are set by number; each has arguments of its own.
  [callback: number]: ((...values: never[]) => number | void) | undefined;
}

interface NativeParserClass {
  new (): NativeParser;
  readonly REQUEST: number;
  readonly RESPONSE: number;
  readonly kOnMessageBegin: number;
  readonly kOnHeaders: number;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
  readonly kLenientNone: number;
}

function pairs(list: readonly string[]): [string, string][] {
  const found: [string, string][] = [];
  for (let index = 0; index + 1 < list.length; index += 2) found.push([list[index] ?? '', list[index + 1] ?? '']);
  return found;
}

/** llhttp's numbers of methods are not public: each method is parsed once to learn its own. */
function learnMethods(): Map<number, string> {
  const names = new Map<number, string>();
  for (const name of METHODS) {
    const parser = new HTTPParser();
    parser.initialize(HTTPParser.REQUEST, {}, 65_536, HTTPParser.kLenientNone);
    parser[HTTPParser.kOnHeadersComplete] = (_major: number, _minor: number, _list: unknown, method: number) => {
      names.set(method, name);
      return 0;
    };
    parser.execute(Buffer.from(`${name} / HTTP/1.1\r\n\r\n`));
  }
  return names;
}

// An undocumented module of Node, typed after lib/_http_common.js; the tests that use it fail at once should it change.
const { HTTPParser } = createRequire(import.meta.url)('_http_common') as { readonly HTTPParser: NativeParserClass };
const METHOD_NAMES = learnMethods();
