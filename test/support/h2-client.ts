/**
 * A caller that writes HTTP/2 frames by hand, so that it can say what no library would, and reads what it is answered stream by stream.
 * It gives no windows back unless it is told to.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import { fieldsOf } from '#test/conformance/h2/echo-handler.ts';
import { block, HELLO, number, type Fields } from '#test/conformance/h2/raw-peer.ts';
import { FLAG, FRAME, readUint31, writeFrameHeader } from '#wire/h2/frames.ts';
import { HeadReader, responseHead, trailers } from '#wire/h2/head-reader.ts';
import { DEFAULT_H2_LIMITS } from '#wire/h2/limits.ts';

import { tlsSocket, type CallerIdentity } from './raw-client.ts';

/** What came on one stream. */
export class Received {
  /** Of the final head; 0 before it. */
  status = 0;
  readonly informational: number[] = [];
  fields: Fields = [];
  trailers: Fields = [];
  readonly parts: Buffer[] = [];
  bytes = 0;
  hasEnded = false;
  /** Code of RST_STREAM, -1 without one. */
  reset = -1;

  get text(): string {
    return Buffer.concat(this.parts).toString('latin1');
  }

  valueOf(name: string): string | undefined {
    return [...this.fields, ...this.trailers].find((field) => field[0] === name)?.[1];
  }

  get isOver(): boolean {
    return this.hasEnded || this.reset >= 0;
  }
}

export class H2Client implements AsyncDisposable {
  readonly socket: Socket;
  /** Codes of GOAWAY with their last stream. */
  readonly goaways: { readonly last: number; readonly code: number }[] = [];
  isClosed = false;
  /** Gives back the window of what comes. */
  consumes = true;
  readonly #streams = new Map<number, Received>();
  readonly #heads = new HeadReader({ ...DEFAULT_H2_LIMITS, headerListBytes: 65_536, headerFields: 500 });
  readonly #watchers = new Set<() => void>();
  #waiting: Buffer = Buffer.alloc(0);
  #nextId = 1;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      this.isClosed = true;
      this.#wake();
    });
  }

  get nextId(): number {
    return this.#nextId;
  }

  write(...frames: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** What came on a stream so far. */
  on(id: number): Received {
    let received = this.#streams.get(id);
    if (received === undefined) {
      received = new Received();
      this.#streams.set(id, received);
    }
    return received;
  }

  /** Opens a stream by a head, in as many frames as it takes; the fields are sent as they are. */
  open(fields: Fields, ends = true): number {
    const id = this.#nextId;
    this.#nextId += 2;
    const bytes = block(fields);
    const frames: Buffer[] = [];
    for (let at = 0; at === 0 || at < bytes.length; at += 16_384) {
      const part = bytes.subarray(at, at + 16_384);
      const flags = (at === 0 && ends ? FLAG.endStream : 0) | (at + 16_384 >= bytes.length ? FLAG.endHeaders : 0);
      const header = Buffer.alloc(9);
      writeFrameHeader(header, 0, part.length, at === 0 ? FRAME.headers : FRAME.continuation, flags, id);
      frames.push(header, part);
    }
    this.write(...frames);
    return id;
  }

  /** Sends content in frames that a peer takes. */
  data(id: number, content: Buffer | string, ends = false): void {
    const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
    const frames: Buffer[] = [];
    for (let at = 0; at === 0 || at < bytes.length; at += 16_384) {
      const part = bytes.subarray(at, at + 16_384);
      const header = Buffer.alloc(9);
      writeFrameHeader(header, 0, part.length, FRAME.data, ends && at + 16_384 >= bytes.length ? FLAG.endStream : 0, id);
      frames.push(header, part);
    }
    this.write(...frames);
  }

  /** Ends a stream with trailers. */
  trailers(id: number, fields: Fields): void {
    const bytes = block(fields);
    const header = Buffer.alloc(9);
    writeFrameHeader(header, 0, bytes.length, FRAME.headers, FLAG.endStream | FLAG.endHeaders, id);
    this.write(header, bytes);
  }

  reset(id: number, code: number): void {
    this.#control(FRAME.rstStream, id, number(code));
  }

  window(id: number, bytes: number): void {
    this.#control(FRAME.windowUpdate, id, number(bytes));
  }

  /** Asks and waits for the end of the answer. */
  async ask(fields: Fields, content?: Buffer | string): Promise<Received> {
    const id = this.open(fields, content === undefined);
    if (content !== undefined) this.data(id, content, true);
    return this.answer(id);
  }

  /** Waits for the end of a stream, whoever ended it; throws when the connection goes before. */
  async answer(id: number, timeoutMs = 10_000): Promise<Received> {
    const received = this.on(id);
    await this.until(() => received.isOver || this.isClosed, timeoutMs);
    if (!received.isOver) throw new Error(`Cannot await stream ${id}: the connection was closed`);
    return received;
  }

  async until(condition: () => boolean, timeoutMs = 10_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!condition()) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw new Error(`Cannot wait any longer than ${timeoutMs} ms: ${this.#describe()}`);
      await new Promise<void>((settle) => {
        const done = (): void => {
          clearTimeout(timer);
          this.#watchers.delete(done);
          settle();
        };
        const timer = setTimeout(done, leftMs);
        this.#watchers.add(done);
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    if (!this.isClosed) await once(this.socket, 'close').catch(() => {});
  }

  #control(type: number, id: number, payload: Buffer): void {
    const header = Buffer.alloc(9);
    writeFrameHeader(header, 0, payload.length, type, 0, id);
    this.write(header, payload);
  }

  #read(bytes: Buffer): void {
    this.#waiting = this.#waiting.length === 0 ? bytes : Buffer.concat([this.#waiting, bytes]);
    let at = 0;
    while (this.#waiting.length - at >= 9) {
      const end = at + 9 + this.#waiting.readUIntBE(at, 3);
      if (end > this.#waiting.length) break;
      const type = this.#waiting[at + 3] ?? 0;
      const flags = this.#waiting[at + 4] ?? 0;
      this.#frame(type, flags, readUint31(this.#waiting, at + 5), this.#waiting.subarray(at + 9, end));
      at = end;
    }
    this.#waiting = this.#waiting.subarray(at);
    this.#wake();
  }

  #frame(type: number, flags: number, id: number, payload: Buffer): void {
    const received = this.on(id);
    const ends = (flags & FLAG.endStream) !== 0;
    if (type === FRAME.headers) this.#head(received, payload, ends);
    else if (type === FRAME.data) {
      received.parts.push(Buffer.from(payload));
      received.bytes += payload.length;
      if (this.consumes && payload.length > 0 && !this.isClosed) {
        this.window(0, payload.length);
        if (!ends) this.window(id, payload.length);
      }
    } else if (type === FRAME.rstStream) received.reset = payload.readUInt32BE(0);
    else if (type === FRAME.goaway) this.goaways.push({ last: payload.readUInt32BE(0), code: payload.readUInt32BE(4) });
    else if (type === FRAME.ping && (flags & FLAG.ack) === 0) {
      const header = Buffer.alloc(9);
      writeFrameHeader(header, 0, 8, FRAME.ping, FLAG.ack, 0);
      this.write(header, payload);
    }
    if (ends && (type === FRAME.headers || type === FRAME.data)) received.hasEnded = true;
  }

  /** The sidecar puts a head into one frame; what these tests ask for fits. */
  #head(received: Received, payload: Buffer, ends: boolean): void {
    if (received.status !== 0) {
      const fault = this.#heads.trailers(payload, 0, payload.length);
      if (fault !== null) throw new Error(`Cannot read trailers: ${fault}`);
      received.trailers = fieldsOf(trailers);
      return;
    }
    const fault = this.#heads.response(payload, 0, payload.length, ends, 'HEAD');
    if (fault !== null) throw new Error(`Cannot read a response's head: ${fault}`);
    if (responseHead.status < 200) received.informational.push(responseHead.status);
    else received.status = responseHead.status;
    received.fields = fieldsOf(responseHead);
  }

  #wake(): void {
    for (const watcher of this.#watchers) watcher();
  }

  #describe(): string {
    const streams = [...this.#streams].map(
      ([id, { bytes, hasEnded, reset, status }]) => `${id}: ${status} ${bytes} bytes, ended ${hasEnded}, reset ${reset}`,
    );
    return `${streams.join('; ')}; goaways ${JSON.stringify(this.goaways)}; closed ${this.isClosed}`;
  }
}

/** The fields of a request. */
export function head(method: string, path: string, more: Fields = []): Fields {
  return [[':method', method], [':scheme', 'https'], [':path', path], [':authority', 'app.test'], ...more];
}

/** Connects by mutual TLS and says hello. */
export async function h2TlsClient(port: number, caller: CallerIdentity, hello: Buffer = HELLO): Promise<H2Client> {
  const socket = tlsSocket(port, caller, { alpn: ['h2'], allowHalfOpen: true });
  await once(socket, 'secureConnect');
  return greet(socket, hello);
}

/** Connects in the clear, by prior knowledge. */
export async function h2cClient(port: number, hello: Buffer = HELLO): Promise<H2Client> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  return greet(socket, hello);
}

function greet(socket: Socket, hello: Buffer): H2Client {
  const client = new H2Client(socket);
  client.write(hello);
  return client;
}
