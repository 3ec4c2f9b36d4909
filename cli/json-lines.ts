/**
 * JSON Lines in, JSON Lines out: the machinery under every verb that answers questions. One answer per line, in order; blank
 * lines are passed over. Memory is bounded by one chunk of input, one unfinished line (`MAX_LINE_BYTES`) and one batch of
 * output; a slow reader stops the reading. Answers to a chunk are written before the next chunk is read, so that a program may
 * converse with the verb line by line.
 */
import { isUtf8 } from 'node:buffer';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';

import { PosternError } from '#base/error.ts';

import { EXIT } from './exit.ts';
import type { ExitStatus } from './exit.ts';

/** A line as it was read: a JSON object, nothing about its members is known yet. */
export type Question = Readonly<Record<string, unknown>>;

export interface LineStreams {
  readonly stdin: Readable;
  readonly stdout: Writable;
}

/** Longest line that is understood; a longer one is answered with `line_too_long` and skipped. */
export const MAX_LINE_BYTES = 16_777_216;

/**
 * Answers each line of `stdin` with one line on `stdout`.
 *
 * `answer` is called with the parsed object and returns the answer's members; `id` is put in front by this function when the
 * question has one. A `PosternError` that it throws says that the question cannot be understood: the line is answered with
 * `{"id":..,"error":{"code":..,"message":..}}` and the next one is read. An `ExitError` (or any other error) ends the run after
 * the answers so far were written, and is thrown on.
 *
 * @returns 0 when every line was understood, else 65
 */
export async function answerLines(io: LineStreams, answer: (question: Question) => object): Promise<ExitStatus> {
  const lines = new LineSplitter();
  const out = new BatchWriter(io.stdout);
  let status: ExitStatus = EXIT.ok;

  const reply = (line: LineRead): void => {
    const { text, isUnderstood } = answerLine(line, answer);
    if (text === null) return;
    if (!isUnderstood) status = EXIT.data;
    out.add(text);
  };

  try {
    for await (const chunk of io.stdin) {
      // A stream without an encoding gives buffers, one with an encoding strings.
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Buffer);
      for (const line of lines.push(bytes)) {
        reply(line);
        if (out.isFull) await out.flush();
      }
      await out.flush();
      if (out.isClosed) return status;
    }
    const last = lines.end();
    if (last !== null) reply(last);
  } finally {
    await out.flush();
  }
  return status;
}

/** A text member of a question; throws the error that answers the line when it is something else. */
export function textMember(question: Question, name: string): string {
  const value = question[name];
  if (typeof value !== 'string') {
    throw new PosternError('question_member', `Cannot read "${name}": found ${kindOf(value)}, wanted a string`);
  }
  return value;
}

/** Like `textMember`; null when the member is absent or null. */
export function optionalTextMember(question: Question, name: string): string | null {
  const value = question[name];
  return value === undefined || value === null ? null : textMember(question, name);
}

/** Bytes given in base64 (RFC 4648, section 4, padding optional); throws the error that answers the line. */
export function base64Member(question: Question, name: string): Buffer {
  return decodeBase64(textMember(question, name), name);
}

/** A list of byte strings in base64. */
export function base64ListMember(question: Question, name: string): Buffer[] {
  const value = question[name];
  if (!Array.isArray(value)) {
    throw new PosternError('question_member', `Cannot read "${name}": found ${kindOf(value)}, wanted a list`);
  }
  return value.map((item: unknown, index) => {
    const path = `${name}[${index}]`;
    if (typeof item === 'string') return decodeBase64(item, path);
    throw new PosternError('question_member', `Cannot read "${path}": found ${kindOf(item)}, wanted a string`);
  });
}

/** How a JSON value is named in an error. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  return `a ${typeof value}`;
}

type LineRead = { readonly bytes: Buffer } | { readonly tooLong: true };

function answerLine(line: LineRead, answer: (question: Question) => object): { text: string | null; isUnderstood: boolean } {
  if ('tooLong' in line) return fault(null, 'line_too_long', `Cannot read the line: found more than ${MAX_LINE_BYTES} bytes`);
  if (!isUtf8(line.bytes)) return fault(null, 'line_not_utf8', 'Cannot read the line: found bytes that are not UTF-8');
  const text = line.bytes.toString('utf8');
  if (text.trim() === '') return { text: null, isUnderstood: true };

  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const detail = error instanceof Error ? error.message : '';
    return fault(null, 'line_not_json', `Cannot read the line: found no JSON, wanted one object (${detail})`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return fault(null, 'line_not_object', `Cannot read the line: found ${kindOf(value)}, wanted an object`);
  }

  // An object that is no array is a record of unknowns.
  const question = value as Question;
  const id = question['id'];
  try {
    const answered = answer(question);
    return {
      text: JSON.stringify(id === undefined ? answered : { id, ...answered }),
      isUnderstood: true,
    };
  } catch (error) {
    if (error instanceof PosternError) return fault(id, error.code, error.message);
    throw error;
  }
}

function fault(id: unknown, code: string, message: string): { text: string; isUnderstood: false } {
  return { text: JSON.stringify({ id, error: { code, message } }), isUnderstood: false };
}

function decodeBase64(text: string, path: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  // Buffer.from skips what is not base64; only a text that comes back the same was base64.
  const isSame = bytes.toString('base64').replace(PADDING, '') === text.replace(PADDING, '');
  if (!isSame) throw new PosternError('question_base64', `Cannot read "${path}": found characters that are not base64`);
  return bytes;
}

/** Cuts chunks at line feeds; keeps the unfinished line only. */
class LineSplitter {
  #parts: Buffer[] = [];
  #length = 0;
  #isSkipping = false;

  *push(chunk: Buffer): Generator<LineRead> {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, start);
      if (end < 0) break;
      yield this.#finish(chunk.subarray(start, end));
      start = end + 1;
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
  }

  end(): LineRead | null {
    return this.#length === 0 && !this.#isSkipping ? null : this.#finish(chunkOfNothing);
  }

  #keep(part: Buffer): void {
    if (this.#isSkipping) return;
    this.#parts.push(part);
    this.#length += part.length;
    if (this.#length > MAX_LINE_BYTES) {
      this.#parts = [];
      this.#length = 0;
      this.#isSkipping = true;
    }
  }

  #finish(part: Buffer): LineRead {
    if (this.#parts.length === 0 && !this.#isSkipping && part.length <= MAX_LINE_BYTES) return { bytes: part };
    this.#keep(part);
    const line: LineRead = this.#isSkipping ? { tooLong: true } : { bytes: Buffer.concat(this.#parts, this.#length) };
    this.#parts = [];
    this.#length = 0;
    this.#isSkipping = false;
    return line;
  }
}

/** Collects answers and writes them together; waits when the reader is slow, and stops when it has gone. */
class BatchWriter {
  readonly #stream: Writable;
  #batch: string[] = [];
  #size = 0;
  #error: unknown = null;

  constructor(stream: Writable) {
    this.#stream = stream;
    stream.on('error', (error: unknown) => {
      this.#error = error;
    });
  }

  get isFull(): boolean {
    return this.#size >= BATCH_CHARACTERS;
  }

  /** Whether nobody reads any more (`| head`). */
  get isClosed(): boolean {
    return this.#error !== null || this.#stream.destroyed;
  }

  add(line: string): void {
    this.#batch.push(line);
    this.#size += line.length + 1;
  }

  async flush(): Promise<void> {
    if (this.#batch.length === 0 || this.isClosed) return;
    const text = `${this.#batch.join('\n')}\n`;
    this.#batch = [];
    this.#size = 0;
    if (this.#stream.write(text)) return;
    const abort = new AbortController();
    try {
      await Promise.race([once(this.#stream, 'drain', abort), once(this.#stream, 'close', abort)]);
    } catch (error) {
      // `once` rejects on 'error': the reader has gone, which `isClosed` tells.
      this.#error = error;
    } finally {
      abort.abort();
    }
  }
}

const LINE_FEED = 10;
const PADDING = /=+$/u;
const BATCH_CHARACTERS = 65_536;
const chunkOfNothing = Buffer.alloc(0);
