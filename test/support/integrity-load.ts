/**
 * Callers that send random requests to a `HashingApp` through whatever is between, and prove each exchange by its hashes: both methods,
 * both framings, pipelined, read slowly, broken off. What can't be proved is told, never passed over.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import type { HashingApp } from './hashing-app.ts';
import { statusOf, valuesOf, type Message } from './http-reader.ts';
import { Random, seededBytes } from './random.ts';
import type { RawClient } from './raw-client.ts';

export interface IntegrityResult {
  /** Exchanges whose hashes match in both directions. */
  readonly proved: number;
  /** What went wrong, in words; empty when all is well. */
  readonly faults: readonly string[];
  /** Requests that were broken off on purpose, and how many of them the app took for complete. */
  readonly aborted: number;
  readonly abortedButComplete: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

export interface IntegrityLoad {
  readonly app: HashingApp;
  readonly connect: () => Promise<RawClient>;
  readonly requests: number;
  readonly inFlight: number;
  readonly seed: number;
}

export async function runIntegrityLoad(load: IntegrityLoad): Promise<IntegrityResult> {
  const run = new Run(load);
  await Promise.all(Array.from({ length: load.inFlight }, (_, worker) => run.work(worker)));
  return run.result();
}

interface Sent {
  readonly id: number;
  readonly method: string;
  readonly kind: 'hash' | 'echo';
  readonly size: number;
  readonly body: Buffer;
}

class Run {
  readonly #load: IntegrityLoad;
  readonly #faults: string[] = [];
  readonly #aborted: string[] = [];
  #left: number;
  #proved = 0;
  #bytesSent = 0;
  #bytesReceived = 0;
  #nextId: number;

  constructor(load: IntegrityLoad) {
    this.#load = load;
    this.#left = load.requests;
    this.#nextId = load.seed * 100_000;
  }

  result(): IntegrityResult {
    const { completed } = this.#load.app;
    return {
      proved: this.#proved,
      faults: this.#faults,
      aborted: this.#aborted.length,
      abortedButComplete: this.#aborted.filter((id) => completed.has(id)).length,
      bytesSent: this.#bytesSent,
      bytesReceived: this.#bytesReceived,
    };
  }

  async work(worker: number): Promise<void> {
    const random = new Random(this.#load.seed * 1000 + worker);
    let client: RawClient | null = null;
    while (this.#left > 0) {
      if (random.chance(0.04)) await this.#abort(random);
      const count = Math.min(this.#left, random.chance(0.2) ? 2 + random.below(3) : 1);
      this.#left -= count;
      const batch = Array.from({ length: count }, () => this.#make(random, count === 1));
      try {
        if (client === null || client.isOver) client = await this.#load.connect();
        await this.#exchange(client, batch, random);
      } catch (error) {
        this.#faults.push(`${batch.map(({ method, id, kind }) => `${method} ${kind} ${id}`).join(', ')}: ${String(error)}`);
        client?.socket.destroy();
        client = null;
      }
      if (random.chance(0.05)) {
        client?.socket.end();
        client = null;
      }
    }
    client?.socket.destroy();
  }

  #make(random: Random, mayEcho: boolean): Sent {
    const id = this.#nextId++;
    const hasBody = random.chance(0.6);
    return {
      id,
      method: hasBody ? 'POST' : random.chance(0.1) ? 'HEAD' : 'GET',
      kind: hasBody && mayEcho && random.chance(0.15) ? 'echo' : 'hash',
      size: sizeOf(random),
      body: hasBody ? seededBytes(id ^ 0x5555, sizeOf(random)) : Buffer.alloc(0),
    };
  }

  async #exchange(client: RawClient, batch: readonly Sent[], random: Random): Promise<void> {
    const isSlow = random.chance(0.15);
    for (const sent of batch) client.reader.expect(sent.method);
    const sending = this.#send(client, batch, random);
    // A connection that breaks is told by the response that is awaited first.
    sending.catch(() => {});
    if (isSlow) void readSlowly(client, random);
    let isLast = false;
    for (const sent of batch) {
      const response = await client.response(RESPONSE_MS);
      this.#prove(sent, response);
      isLast = valuesOf(response.fields, 'connection').includes('close');
    }
    await sending;
    if (isLast) await client.over(RESPONSE_MS);
  }

  async #send(client: RawClient, batch: readonly Sent[], random: Random): Promise<void> {
    if (batch.length > 1 && random.chance(0.5)) {
      client.write(Buffer.concat(batch.flatMap((sent) => pieces(sent, random))));
      return;
    }
    for (const sent of batch) {
      for (const piece of pieces(sent, random)) {
        if (client.isClosed) return;
        if (!client.socket.write(piece)) await Promise.race([once(client.socket, 'drain'), once(client.socket, 'close')]);
        if (random.chance(0.05)) await sleep(random.below(5));
      }
    }
  }

  #prove(sent: Sent, response: Message): void {
    const want = sent.kind === 'echo' ? sent.body : sent.method === 'HEAD' ? Buffer.alloc(0) : seededBytes(sent.id, sent.size);
    const told = valuesOf(response.fields, 'x-received')[0] ?? 'none';
    const isReceived = sent.kind === 'echo' || told === sha256(sent.body);
    const isAnswered = sha256(response.body) === sha256(want);
    const isOwn = valuesOf(response.fields, 'x-id')[0] === String(sent.id);
    if (statusOf(response) === 200 && isReceived && isAnswered && isOwn) this.#proved++;
    else {
      this.#faults.push(
        `${sent.method} ${sent.kind} ${sent.id}: status ${statusOf(response)} received ${isReceived} answered ${isAnswered} own ${isOwn} ${response.head.slice(0, 300)}`,
      );
    }
    this.#bytesSent += sent.body.length;
    this.#bytesReceived += response.body.length;
  }

  /** Begins a request with a body and goes away before its end. */
  async #abort(random: Random): Promise<void> {
    const client = await this.#load.connect();
    const id = this.#nextId++;
    const sent: Sent = { id, method: 'POST', kind: 'hash', size: sizeOf(random), body: seededBytes(id, 1000 + sizeOf(random)) };
    const all = Buffer.concat(pieces(sent, random));
    this.#aborted.push(String(id));
    client.write(all.subarray(0, Math.floor(all.length * 0.9 * random.next())));
    await sleep(random.below(10));
    if (random.chance(0.5)) client.socket.end();
    else if ('_parent' in client.socket || random.chance(0.5)) client.socket.destroy();
    else client.socket.resetAndDestroy();
    if (!client.isClosed) await once(client.socket, 'close').catch(() => {});
  }
}

/** A request in the pieces that are written one by one. */
function pieces(sent: Sent, random: Random): Buffer<ArrayBufferLike>[] {
  const { method, kind, id, size, body } = sent;
  const start = `${method} /${kind}/${id}/${size} HTTP/1.1\r\nHost: app.test\r\nX-Filler: ${'f'.repeat(random.below(300))}\r\n`;
  if (method !== 'POST') return [Buffer.from(`${start}\r\n`)];
  if (random.chance(0.5)) {
    const whole = Buffer.concat([Buffer.from(`${start}Content-Length: ${body.length}\r\n\r\n`), body]);
    return split(whole, random);
  }
  const parts: Buffer[] = [Buffer.from(`${start}Transfer-Encoding: chunked\r\n\r\n`)];
  for (let at = 0; at < body.length;) {
    const chunk = body.subarray(at, at + 1 + random.below(random.chance(0.2) ? 64 : 50_000));
    parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'));
    at += chunk.length;
  }
  parts.push(Buffer.from(random.chance(0.2) ? '0\r\nX-Sum: 1\r\n\r\n' : '0\r\n\r\n'));
  return random.chance(0.5) ? parts : split(Buffer.concat(parts), random);
}

/** Cuts anywhere, also within a head or a chunk size. */
function split(bytes: Buffer, random: Random): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const part = bytes.subarray(at, at + 1 + random.below(random.chance(0.3) ? 50 : 100_000));
    parts.push(part);
    at += part.length;
  }
  return parts;
}

async function readSlowly(client: RawClient, random: Random): Promise<void> {
  for (let i = 0; i < 8 && !client.isOver; i++) {
    client.socket.pause();
    await sleep(2 + random.below(15));
    client.socket.resume();
    await sleep(1);
  }
}

function sizeOf(random: Random): number {
  const kind = random.next();
  if (kind < 0.1) return 0;
  if (kind < 0.45) return random.below(2_000);
  if (kind < 0.75) return random.below(64 * 1024);
  return random.below(300 * 1024 + 1);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

const RESPONSE_MS = 30_000;
