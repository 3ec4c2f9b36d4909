/** The request of a question as the data path would read it: its members written as a head of HTTP/1.1 and parsed by the sidecar's parser. */
import { PosternError } from '#base/error.ts';
import { RequestHead } from '#wire/h1/head.ts';
import { parseRequestHead } from '#wire/h1/request.ts';

import { kindOf } from '../json-lines.ts';
import type { Question } from '../json-lines.ts';

/**
 * Null when the data path would refuse the head.
 *
 * @throws {PosternError} `question_member` when the question cannot be understood
 */
export function readQuestionHead(question: Question): RequestHead | null {
  const asked = question['request'];
  if (typeof asked !== 'object' || asked === null || Array.isArray(asked)) throw wrong('request', asked, 'an object');
  const request = asked as Question; // an object that is no list
  const lines = headersOf(request).map(([name, value]) => `${name}: ${value}\r\n`);
  const hasHost = lines.some((line) => /^host:/iu.test(line));
  const authority = textOf(request, 'authority', hasHost ? '' : NO_HOST);
  const host = authority === '' ? '' : `host: ${authority}\r\n`;
  const start = `${textOf(request, 'method', 'GET')} ${textOf(request, 'path', '/')} HTTP/1.1\r\n`;
  const bytes = Buffer.from(`${start}${host}${lines.join('')}\r\n`, 'utf8');
  const head = new RequestHead();
  return parseRequestHead(bytes, 0, bytes.length, head, LIMITS) === bytes.length ? head : null;
}

function headersOf(request: Question): readonly (readonly [string, string])[] {
  const headers = request['headers'] ?? [];
  if (!Array.isArray(headers)) throw wrong('request.headers', headers, 'a list of pairs');
  return headers.map((pair: unknown) => {
    const [name, value] = Array.isArray(pair) ? (pair as readonly unknown[]) : [];
    if (typeof name !== 'string' || typeof value !== 'string') throw wrong('request.headers', pair, 'pairs of strings');
    return [line(name, 'request.headers'), line(value, 'request.headers')] as const;
  });
}

function textOf(request: Question, name: string, otherwise: string): string {
  const value = request[name] ?? otherwise;
  if (typeof value !== 'string') throw wrong(`request.${name}`, value, 'a string');
  return line(value, `request.${name}`);
}

/** What would end a line would make another request of it. */
function line(text: string, name: string): string {
  if (/[\r\n\0]/u.test(text)) throw new PosternError('question_member', `Cannot read "${name}": found a line break or a NUL`);
  return text;
}

function wrong(name: string, found: unknown, wanted: string): PosternError {
  return new PosternError('question_member', `Cannot read "${name}": found ${kindOf(found)}, wanted ${wanted}`);
}

const NO_HOST = 'unnamed.invalid';
/** A sidecar's largest. */
const LIMITS = { headBytes: 1_048_576, fields: 512 };
