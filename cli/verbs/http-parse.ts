/**
 * `postern http parse`: HTTP/1.x messages as the data path's codec reads them (wire/h1), one question a line. Nothing here
 * parses; this only lets the codec run over given bytes and tells what it found.
 */
import { PosternError } from '#base/error.ts';
import { ChunkedDecoder } from '#wire/h1/chunked.ts';
import type { Trailers } from '#wire/h1/chunked.ts';
import { DEFAULT_HEAD_LIMITS, FIELD, FRAMING, RequestHead, ResponseHead, wireFault } from '#wire/h1/head.ts';
import type { FieldTable } from '#wire/h1/head.ts';
import { parseRequestHead } from '#wire/h1/request.ts';
import { parseResponseHead } from '#wire/h1/response.ts';

import { answerLines, base64Member, kindOf, optionalTextMember } from '../json-lines.ts';
import type { LineStreams, Question } from '../json-lines.ts';

export interface HttpParseOptions {
  readonly kind: 'request' | 'response';
}

/** One message of an answer. Names and values have one character a byte. */
export interface ParsedMessage {
  readonly method?: string;
  readonly target?: string;
  readonly status?: number;
  readonly reason?: string;
  readonly version: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  readonly trailers: readonly (readonly [string, string])[];
}

/** The members of an answer, `id` apart. */
export type ParseAnswer =
  | { readonly ok: true; readonly messages: readonly ParsedMessage[]; readonly rest: string }
  | { readonly ok: false; readonly code: string; readonly at: number; readonly messages: readonly ParsedMessage[] }
  | { readonly ok: null; readonly code: 'incomplete' };

/** Answers every line of standard input; resolves to the exit status. */
export async function run(options: HttpParseOptions, streams: LineStreams): Promise<number> {
  return answerLines(streams, (question) => answer(options.kind, question));
}

/**
 * Parses message after message.
 *
 * @param requestMethod  method of the request that a response answers
 * @param isEof          nothing comes after `bytes`: ends a response that lasts until close, and breaks any other
 */
export function parseMessages(kind: HttpParseOptions['kind'], bytes: Buffer, requestMethod: string, isEof: boolean): ParseAnswer {
  const messages: ParsedMessage[] = [];
  let at = 0;
  while (at < bytes.length) {
    const step = parseMessage(kind, bytes, at, requestMethod, isEof);
    if (typeof step === 'string') return { ok: false, code: step, at: faultOffset(kind, bytes, at, requestMethod), messages };
    if (step === null) break;
    messages.push(step.message);
    at = step.end;
    if (step.next === 'other-protocol') return { ok: true, messages, rest: base64(bytes, at) };
    if (step.next === 'nothing') {
      const extra = skipLineEnds(bytes, at);
      if (extra < bytes.length) return { ok: false, code: 'data_after_close', at: extra, messages };
      break;
    }
  }
  const isWhole = skipLineEnds(bytes, at) === bytes.length;
  if (isEof && !isWhole) return { ok: false, code: 'truncated', at: bytes.length, messages };
  if (messages.length === 0) return { ok: null, code: 'incomplete' };
  return { ok: true, messages, rest: base64(bytes, at) };
}

/** What follows a message on its connection. */
type Next = 'message' | 'nothing' | 'other-protocol';

interface Step {
  readonly message: ParsedMessage;
  readonly end: number;
  readonly next: Next;
}

function answer(kind: HttpParseOptions['kind'], question: Question): ParseAnswer {
  const eof = question['eof'] ?? false;
  if (typeof eof !== 'boolean') {
    throw new PosternError('question_member', `Cannot read "eof": found ${kindOf(eof)}, wanted true or false`);
  }
  return parseMessages(kind, base64Member(question, 'raw'), optionalTextMember(question, 'method') ?? 'GET', eof);
}

/** One message from `at`: null when it is not complete, the code of a fault when it is none. */
function parseMessage(
  kind: HttpParseOptions['kind'],
  bytes: Buffer,
  at: number,
  requestMethod: string,
  isEof: boolean,
): Step | string | null {
  const head = kind === 'request' ? REQUEST : RESPONSE;
  const bodyStart = parseHead(kind, bytes, at, bytes.length, requestMethod);
  if (bodyStart < 0) return wireFault(bodyStart);
  if (bodyStart === 0) return null;
  let end = bodyStart;
  let body = '';
  let trailers: Trailers | null = null;
  if (kind === 'request' && REQUEST.method === 'CONNECT') {
    // What follows is a tunnel's, whatever the head says of a body (RFC 9110, section 9.3.6).
  } else if (head.framing === FRAMING.length) {
    end = bodyStart + head.contentLength;
    if (end > bytes.length) return null;
    body = bytes.toString('base64', bodyStart, end);
  } else if (head.framing === FRAMING.chunked) {
    const runs: Buffer[] = [];
    end = decodeChunks(bytes, bodyStart, bytes.length, runs);
    if (end < 0) return wireFault(end);
    if (!DECODER.isDone) return null;
    body = Buffer.concat(runs).toString('base64');
    trailers = DECODER.trailers;
  } else if (head.framing === FRAMING.untilClose) {
    if (!isEof) return null;
    end = bytes.length;
    body = bytes.toString('base64', bodyStart, end);
  }
  const shared = {
    version: `1.${head.minor}`,
    headers: fieldList(bytes, head.fields),
    body,
    trailers: trailers === null ? [] : fieldList(trailers.bytes, trailers.fields),
  };
  if (kind === 'request') {
    const target = bytes.toString('latin1', REQUEST.targetStart, REQUEST.targetEnd);
    return { message: { method: REQUEST.method, target, ...shared }, end, next: afterRequest(REQUEST) };
  }
  const reason = bytes.toString('latin1', RESPONSE.reasonStart, RESPONSE.reasonEnd);
  return { message: { status: RESPONSE.status, reason, ...shared }, end, next: afterResponse(RESPONSE, requestMethod) };
}

function parseHead(kind: HttpParseOptions['kind'], bytes: Buffer, at: number, end: number, requestMethod: string): number {
  if (kind === 'request') return parseRequestHead(bytes, at, end, REQUEST, DEFAULT_HEAD_LIMITS);
  return parseResponseHead(bytes, at, end, RESPONSE, DEFAULT_HEAD_LIMITS, requestMethod);
}

function decodeChunks(bytes: Buffer, start: number, end: number, runs: Buffer[]): number {
  DECODER.reset();
  let at = start;
  while (at < end && !DECODER.isDone) {
    at = DECODER.next(bytes, at, end);
    if (at < 0) return at;
    if (DECODER.dataEnd > DECODER.dataStart) runs.push(bytes.subarray(DECODER.dataStart, DECODER.dataEnd));
  }
  return at;
}

function afterRequest(head: RequestHead): Next {
  if (head.method === 'CONNECT' || (head.hasUpgrade && namesUpgrade(head.bytes, head.fields))) return 'other-protocol';
  return head.isPersistent ? 'message' : 'nothing';
}

function afterResponse(head: ResponseHead, requestMethod: string): Next {
  if (head.status === 101 || (requestMethod === 'CONNECT' && head.status >= 200 && head.status < 300)) return 'other-protocol';
  if (head.status < 200) return 'message';
  return head.isPersistent ? 'message' : 'nothing';
}

function namesUpgrade(bytes: Buffer, fields: FieldTable): boolean {
  for (let index = 0; index < fields.count; index++) {
    if (fields.ids[index] !== FIELD.connection) continue;
    const [, value] = fieldAt(bytes, fields, index);
    if (value.split(',').some((option) => option.trim().toLowerCase() === 'upgrade')) return true;
  }
  return false;
}

/** The parsers name no offset: the fault lies in the last byte of the shortest beginning in which they find it. */
function faultOffset(kind: HttpParseOptions['kind'], bytes: Buffer, start: number, requestMethod: string): number {
  let low = start;
  let high = bytes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isFaulty(kind, bytes, start, middle, requestMethod)) high = middle;
    else low = middle + 1;
  }
  return low - 1;
}

function isFaulty(kind: HttpParseOptions['kind'], bytes: Buffer, start: number, end: number, requestMethod: string): boolean {
  const bodyStart = parseHead(kind, bytes, start, end, requestMethod);
  if (bodyStart <= 0) return bodyStart < 0;
  return (kind === 'request' ? REQUEST : RESPONSE).framing === FRAMING.chunked && decodeChunks(bytes, bodyStart, end, []) < 0;
}

function fieldList(bytes: Buffer, fields: FieldTable): [string, string][] {
  const list: [string, string][] = [];
  for (let index = 0; index < fields.count; index++) list.push(fieldAt(bytes, fields, index));
  return list;
}

function fieldAt(bytes: Buffer, fields: FieldTable, index: number): [string, string] {
  const { ranges } = fields;
  const entry = index << 2;
  return [
    bytes.toString('latin1', ranges[entry] ?? 0, ranges[entry + 1] ?? 0),
    bytes.toString('latin1', ranges[entry + 2] ?? 0, ranges[entry + 3] ?? 0),
  ];
}

/** Empty lines between messages are nothing (RFC 9112, section 2.2). */
function skipLineEnds(bytes: Buffer, at: number): number {
  let index = at;
  while (bytes[index] === 13 && bytes[index + 1] === 10) index += 2;
  return index;
}

function base64(bytes: Buffer, start: number): string {
  return bytes.toString('base64', start, bytes.length);
}

const REQUEST = new RequestHead();
const RESPONSE = new ResponseHead();
const DECODER = new ChunkedDecoder();
