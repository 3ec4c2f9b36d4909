/**
 * HTTP/1.1 messages out of a stream of bytes, for the ends of a test: written apart from the product's codec, so that the two can't be
 * wrong in the same way. It reads what is well formed and calls everything else broken; it bounds nothing.
 */

export interface Message {
  /** `GET /x HTTP/1.1` or `HTTP/1.1 200 OK`. */
  readonly startLine: string;
  /** Names as they came. */
  readonly fields: readonly (readonly [string, string])[];
  readonly body: Buffer;
  readonly trailers: readonly (readonly [string, string])[];
  /** The head's bytes as text, one character a byte, the empty line included. */
  readonly head: string;
}

export class HttpReader {
  /** Complete messages in order; 1xx responses among them. */
  readonly messages: Message[] = [];
  /** Heads in order, also of messages that never became complete. */
  readonly heads: string[] = [];
  /** What was not well formed, or ''. */
  fault = '';
  readonly #kind: 'request' | 'response';
  /** Methods of the requests whose responses are awaited: HEAD has none of the body that it tells of. */
  readonly #methods: string[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #state: 'head' | 'length' | 'size' | 'chunk' | 'trailers' | 'close' = 'head';
  #left = 0;
  #head = '';
  #startLine = '';
  #fields: (readonly [string, string])[] = [];
  #body: Buffer[] = [];

  constructor(kind: 'request' | 'response') {
    this.#kind = kind;
  }

  /** Whether a message has begun and is not complete, or bytes of one are waiting. */
  get isWithin(): boolean {
    return this.#state !== 'head' || this.#rest.length > 0;
  }

  /** Body bytes of the message that is under way. */
  get bodyBytes(): number {
    return this.#body.reduce((sum, part) => sum + part.length, 0);
  }

  expect(method: string): void {
    this.#methods.push(method);
  }

  push(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (this.fault === '' && this.#step()) {
      // One step after the other, as far as the bytes reach.
    }
  }

  /** The stream has ended, which completes a body without a length. */
  end(): void {
    if (this.#state === 'close') this.#complete([]);
  }

  /** Whether it got any further. */
  #step(): boolean {
    switch (this.#state) {
      case 'head':
        return this.#takeHead();
      case 'length':
        return this.#takeBody(() => this.#complete([]));
      case 'chunk':
        return this.#takeBody(() => (this.#state = 'size'));
      case 'size':
        return this.#takeSize();
      case 'trailers':
        return this.#takeTrailers();
      case 'close':
        if (this.#rest.length > 0) this.#body.push(this.#rest);
        this.#rest = Buffer.alloc(0);
        return false;
    }
  }

  #takeHead(): boolean {
    const end = this.#rest.indexOf('\r\n\r\n');
    if (end < 0) return false;
    this.#head = this.#rest.toString('latin1', 0, end + 4);
    this.heads.push(this.#head);
    this.#rest = this.#rest.subarray(end + 4);
    const [startLine = '', ...lines] = this.#head.slice(0, -4).split('\r\n');
    this.#startLine = startLine;
    this.#fields = lines.map((line) => this.#line(line));
    this.#body = [];
    return this.#frame();
  }

  #frame(): boolean {
    const length = fieldOf(this.#fields, 'content-length');
    const coding = fieldOf(this.#fields, 'transfer-encoding');
    const status = this.#kind === 'response' ? Number(this.#startLine.slice(9, 12)) : 0;
    if (length !== null && coding !== null) return this.#broken('length and coding');
    if (this.#kind === 'response') {
      const isFinal = status >= 200;
      const method = isFinal ? this.#methods.shift() : this.#methods[0];
      if (!isFinal || status === 204 || status === 304 || method === 'HEAD') return this.#complete([]);
    }
    if (coding !== null) {
      if (coding.toLowerCase() !== 'chunked') return this.#broken(`coding ${coding}`);
      this.#state = 'size';
    } else if (length !== null) {
      if (!/^\d{1,15}$/.test(length)) return this.#broken(`length ${length}`);
      this.#left = Number(length);
      this.#state = 'length';
      if (this.#left === 0) return this.#complete([]);
    } else if (this.#kind === 'response') {
      this.#state = 'close';
    } else {
      return this.#complete([]);
    }
    return true;
  }

  #takeBody(done: () => void): boolean {
    if (this.#rest.length === 0) return false;
    const part = this.#rest.subarray(0, this.#left);
    this.#body.push(part);
    this.#rest = this.#rest.subarray(part.length);
    this.#left -= part.length;
    if (this.#left > 0) return false;
    if (this.#state === 'chunk') {
      // The line end behind the data is awaited with the next size.
      this.#left = -1;
    }
    done();
    return true;
  }

  #takeSize(): boolean {
    const from = this.#left === -1 ? 2 : 0;
    if (this.#rest.length < from) return false;
    if (from === 2 && this.#rest.toString('latin1', 0, 2) !== '\r\n') return this.#broken('chunk end');
    const end = this.#rest.indexOf('\r\n', from);
    if (end < 0) return false;
    const size = this.#rest.toString('latin1', from, end);
    if (!/^[0-9a-f]{1,12}$/i.test(size)) return this.#broken(`chunk size ${size}`);
    this.#rest = this.#rest.subarray(end + 2);
    this.#left = parseInt(size, 16);
    this.#state = this.#left === 0 ? 'trailers' : 'chunk';
    return true;
  }

  #takeTrailers(): boolean {
    if (this.#rest.toString('latin1', 0, 2) === '\r\n') {
      this.#rest = this.#rest.subarray(2);
      return this.#complete([]);
    }
    const end = this.#rest.indexOf('\r\n\r\n');
    if (end < 0) return false;
    const lines = this.#rest.toString('latin1', 0, end).split('\r\n');
    this.#rest = this.#rest.subarray(end + 4);
    return this.#complete(lines.map((line) => this.#line(line)));
  }

  #complete(trailers: readonly (readonly [string, string])[]): boolean {
    this.messages.push({
      startLine: this.#startLine,
      fields: this.#fields,
      body: Buffer.concat(this.#body),
      trailers,
      head: this.#head,
    });
    this.#body = [];
    this.#left = 0;
    this.#state = 'head';
    return true;
  }

  #line(line: string): readonly [string, string] {
    const colon = line.indexOf(':');
    if (colon <= 0) this.#broken(`line ${line}`);
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  }

  #broken(why: string): false {
    this.fault = why;
    return false;
  }
}

/** The value of the only field of this name; null without one. */
export function fieldOf(fields: readonly (readonly [string, string])[], name: string): string | null {
  const values = valuesOf(fields, name);
  if (values.length > 1) throw new Error(`Cannot take "${name}" of a message: it is there ${values.length} times`);
  return values[0] ?? null;
}

export function valuesOf(fields: readonly (readonly [string, string])[], name: string): readonly string[] {
  return fields.filter(([each]) => each.toLowerCase() === name).map(([, value]) => value);
}

/** Of a response; 0 for what is none. */
export function statusOf(message: Message): number {
  return Number(/^HTTP\/1\.[01] (\d{3})/.exec(message.startLine)?.[1] ?? 0);
}

/** `[method, target]` of a request. */
export function requestLineOf(message: Message): readonly [string, string] {
  const [method = '', target = ''] = message.startLine.split(' ');
  return [method, target];
}
