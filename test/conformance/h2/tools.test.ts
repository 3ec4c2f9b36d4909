/** The session as server of programs that others wrote: curl, nghttp and h2load, over clear text with prior knowledge. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { peer, requirePeer } from '#test/support/peers.ts';

import { EchoHandler, type Echo } from './echo-handler.ts';
import { serveSessions, type SessionSocket } from './session-socket.ts';

let origin = '';
let close = (): Promise<void> => Promise.resolve();
let folder = '';
const sessions: SessionSocket<Echo>[] = [];
const content = randomBytes(300_000);

beforeAll(async () => {
  const server = await serveSessions<Echo>(
    (socket) => new EchoHandler(socket),
    undefined,
    (session) => sessions.push(session),
  );
  origin = `http://127.0.0.1:${server.port}`;
  close = server.close;
  folder = await mkdtemp(join(tmpdir(), 'postern-h2-tools-'));
  await writeFile(join(folder, 'content'), content);
});

afterAll(async () => {
  await close();
  await rm(folder, { recursive: true });
});

test.skipIf(peer('curl') === null)('curl gets, and sends 300 kB that come back', async () => {
  const curl = requirePeer('curl');
  const got = await run(curl, [
    '-sS',
    '--max-time',
    '20',
    '--http2-prior-knowledge',
    '-i',
    '-H',
    'Cookie: a=1; b=2',
    `${origin}/x?y=1`,
  ]);
  expect(got.toString('latin1')).toMatch(/^HTTP\/2 200[\s\S]*x-target: \/x\?y=1\r\n[\s\S]*x-cookie: a=1; b=2\r\n[\s\S]*postern$/);
  const file = `@${join(folder, 'content')}`;
  const sent = ['-sS', '--max-time', '20', '--http2-prior-knowledge', '-H', 'Expect:', '--data-binary', file, `${origin}/post`];
  expect((await run(curl, sent)).equals(content)).toBe(true);
});

test.skipIf(peer('nghttp') === null)('nghttp gets through the smallest windows, and with padding and trailers', async () => {
  const nghttp = requirePeer('nghttp');
  const got = await run(nghttp, ['--timeout=20', '-w', '4', '-W', '4', `${origin}/small`]);
  expect(got.toString()).toBe('postern');
  const options = [
    '--timeout=20',
    '-b',
    '200',
    '-H',
    'x-echo-1: yes',
    '--trailer',
    'x-sum: 1',
    '-v',
    '-d',
    join(folder, 'content'),
  ];
  const log = (await run(nghttp, [...options, `${origin}/padded`])).toString('latin1');
  expect(log).toContain('x-echo-1: yes');
  expect(log).toContain('x-sum: 1');
  expect(log).not.toMatch(
    /RST_STREAM|GOAWAY frame <length=8, flags=0x00, stream_id=0>\s+\(last_stream_id=\d+, error_code=(?!NO_ERROR)/,
  );
});

test.skipIf(peer('h2load') === null)('h2load finds every answer of 4,000 over 4 connections with 50 streams each', async () => {
  const h2load = requirePeer('h2load');
  const log = (
    await run(h2load, ['-n', '4000', '-c', '4', '-m', '50', '-T', '20', '--header', 'x-echo-2: z', `${origin}/load`])
  ).toString();
  expect(log).toContain('4000 done, 4000 succeeded, 0 failed, 0 errored, 0 timeout');
});

test('no peer was sent away for a fault', () => {
  expect(sessions.map(({ session }) => session.fault).filter((fault) => fault !== null)).toEqual([]);
});

function run(program: string, args: readonly string[]): Promise<Buffer> {
  return new Promise((done, failed) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const output: Buffer[] = [];
    let errors = '';
    child.stdout.on('data', (bytes: Buffer) => output.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => (errors += bytes.toString()));
    child.on('error', failed);
    child.on('close', (code) =>
      code === 0 ? done(Buffer.concat(output)) : failed(new Error(`${program} ended with ${code}: ${errors}`)),
    );
  });
}
