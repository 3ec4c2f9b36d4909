/**
 * The sibling of integrity-load.ts over HTTP/2: streams of one `node:http2` session at a time, proved by their hashes, read slowly and
 * broken off now and then.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import type { IncomingHttpHeaders, IncomingHttpStatusHeader } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';

import type { HashingApp } from './hashing-app.ts';
import type { IntegrityResult } from './integrity-load.ts';
import { Random, seededBytes } from './random.ts';
import type { CallerIdentity } from './raw-client.ts';

export interface Http2IntegrityLoad {
  readonly app: HashingApp;
  readonly port: number;
  /** Null: in the clear, by prior knowledge. */
  readonly caller: CallerIdentity | null;
  readonly requests: number;
  readonly inFlight: number;
  readonly seed: number;
}

export async function runHttp2IntegrityLoad(load: Http2IntegrityLoad): Promise<IntegrityResult> {
  const { app, requests, inFlight, seed } = load;
  const random = new Random(seed);
  const faults: string[] = [];
  const aborted: string[] = [];
  let [proved, bytesSent, bytesReceived, left, nextId] = [0, 0, 0, requests, seed * 100_000];
  let session = await open(load);

  const work = async (): Promise<void> => {
    while (left > 0) {
      left--;
      const id = nextId++;
      if (session.destroyed || session.closed || random.chance(0.003)) {
        const before = session;
        const next = await open(load);
        // Another one may have changed it meanwhile; what is begun on the old one ends there.
        (session === before ? before : next).close();
        if (session === before) session = next;
      }
      if (random.chance(0.04)) {
        aborted.push(String(nextId));
        await abort(session, nextId++, random);
      }
      const method = random.chance(0.6) ? 'POST' : random.chance(0.1) ? 'HEAD' : 'GET';
      const size = sizeOf(random);
      const body = method === 'POST' ? seededBytes(id ^ 0x5555, sizeOf(random)) : EMPTY;
      try {
        const answer = await exchange(session, `/hash/${id}/${size}`, method, body, random);
        const want = method === 'HEAD' ? EMPTY : seededBytes(id, size);
        const isRight =
          answer.status === 200 && answer.received === sha256(body) && answer.id === String(id) && answer.body === sha256(want);
        if (isRight) proved++;
        else faults.push(`${method} ${id}: ${JSON.stringify({ ...answer, want: sha256(want) })}`);
        bytesSent += body.length;
        bytesReceived += want.length;
      } catch (error) {
        faults.push(`${method} ${id}: ${String(error)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
  session.destroy();
  const abortedButComplete = aborted.filter((id) => app.completed.has(id)).length;
  return { proved, faults, aborted: aborted.length, abortedButComplete, bytesSent, bytesReceived };
}

/** Waits for the connection: requests of a session that is closed before it stands fail, and say nothing about the sidecar. */
async function open({ port, caller }: Http2IntegrityLoad): Promise<ClientHttp2Session> {
  const tls =
    caller === null
      ? {}
      : {
          ca: caller.mesh.bundlePem,
          checkServerIdentity: () => undefined,
          ...(caller.svid === null ? {} : { cert: caller.svid.certificatePem, key: caller.svid.keyPem }),
        };
  const session = connect(`${caller === null ? 'http' : 'https'}://127.0.0.1:${port}`, tls);
  session.on('error', () => {});
  await once(session, 'connect');
  return session;
}

interface Answer {
  readonly status: number;
  readonly id: string;
  readonly received: string;
  readonly body: string;
}

async function exchange(
  session: ClientHttp2Session,
  path: string,
  method: string,
  body: Buffer,
  random: Random,
): Promise<Answer> {
  const stream = session.request(
    { ':method': method, ':path': path, ':authority': 'app.test' },
    { endStream: method !== 'POST' },
  );
  const timer = setTimeout(() => stream.destroy(new Error('no answer in time')), RESPONSE_MS);
  const hash = createHash('sha256');
  let head: IncomingHttpHeaders & IncomingHttpStatusHeader = {};
  const over = new Promise<void>((resolve, reject) => stream.once('end', resolve).once('error', reject).once('close', resolve));
  stream.on('response', (fields) => (head = fields));
  const isSlow = random.chance(0.15);
  stream.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    if (!isSlow || !random.chance(0.3)) return;
    stream.pause();
    setTimeout(() => stream.resume(), 1 + random.below(10));
  });
  try {
    await Promise.all([method === 'POST' ? send(stream, body, random) : null, over]);
  } finally {
    clearTimeout(timer);
  }
  if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) throw new Error(`reset with ${stream.rstCode}`);
  const text = (name: string): string => [head[name] ?? ''].flat().join(', ');
  return { status: Number(head[':status'] ?? 0), id: text('x-id'), received: text('x-received'), body: hash.digest('hex') };
}

async function send(stream: ClientHttp2Stream, body: Buffer, random: Random): Promise<void> {
  for (let at = 0; at < body.length && !stream.destroyed;) {
    const piece = body.subarray(at, at + 1 + random.below(random.chance(0.3) ? 50 : 60_000));
    if (!stream.write(piece)) await Promise.race([once(stream, 'drain'), once(stream, 'close')]);
    if (random.chance(0.03)) await sleep(random.below(5));
    at += piece.length;
  }
  stream.end();
}

/** Begins a request with a body and gives it up before its end. */
async function abort(session: ClientHttp2Session, id: number, random: Random): Promise<void> {
  const stream = session.request({ ':method': 'POST', ':path': `/hash/${id}/1000`, ':authority': 'app.test' });
  stream.on('error', () => {});
  stream.resume();
  stream.write(seededBytes(id, 1 + random.below(100_000)));
  await sleep(random.below(10));
  // `close` would send END_STREAM first, and make it a complete request.
  stream.destroy();
}

function sizeOf(random: Random): number {
  const kind = random.next();
  if (kind < 0.1) return 0;
  if (kind < 0.45) return random.below(2_000);
  return kind < 0.75 ? random.below(64 * 1024) : random.below(300 * 1024 + 1);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

const EMPTY = Buffer.alloc(0);
const RESPONSE_MS = 30_000;
