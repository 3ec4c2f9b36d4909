/** Real programs that speak HTTP/2 and gRPC, as callers of a sidecar: what each asks is answered, and judged as its own. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';

import { Metadata, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startEnvoyCaller, type EnvoyCaller } from '#test/support/envoy-caller.ts';
import { grpcClient, startGrpcApp, type Answer, type GrpcApp } from '#test/support/grpc-app.ts';
import { HashingApp } from '#test/support/hashing-app.ts';
import { peer, requirePeer } from '#test/support/peers.ts';
import { startProcess } from '#test/support/processes.ts';
import { Random, seededBytes } from '#test/support/random.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { policyYaml, startSidecar, type Sidecar } from '#test/support/sidecar.ts';
import { startTlsRelay } from '#test/support/tls-relay.ts';

let app: HashingApp;
let calls: GrpcApp;
let sidecar: Sidecar;
/** HTTP/2 in the clear. */
let clearPort = 0;
/** Mutual TLS before the gRPC app. */
let callsPort = 0;

beforeAll(async () => {
  app = new HashingApp('http1', 5_000);
  await app.listen();
  calls = await startGrpcApp();
  const forwardTo = `127.0.0.1:${app.port}`;
  const allow = (account: string): object => ({
    from: [{ source: { principals: [`cluster.local/ns/test/sa/${account}`] } }],
    to: [{ operation: { notPaths: ['/postern.test.Echo/Count'] } }],
  });
  sidecar = await startSidecar({
    mesh,
    inbound: [
      { mtls: 'STRICT', forwardTo },
      { mtls: 'DISABLE', protocol: 'http2', forwardTo: `http://${forwardTo}` },
      { mtls: 'STRICT', forwardTo: `h2c://127.0.0.1:${calls.port}` },
    ],
    policies: {
      'app.yaml': policyYaml('app', { action: 'ALLOW', rules: [allow('web'), { to: [{ operation: { paths: ['/hash/*'] } }] }] }),
    },
  });
  [, clearPort = 0, callsPort = 0] = sidecar.inbound;
  const { certificatePem, keyPem } = mesh.svid('web');
  writeFileSync(sidecar.path('web.pem'), certificatePem);
  writeFileSync(sidecar.path('web.key'), keyPem, { mode: 0o600 });
  writeFileSync(sidecar.path('body'), BODY);
});

afterAll(async () => {
  await sidecar?.[Symbol.asyncDispose]();
  await calls?.[Symbol.asyncDispose]();
  await app?.[Symbol.asyncDispose]();
});

const BODY = seededBytes(1, 700_000);
const SENT = createHash('sha256').update(BODY).digest('hex');
const GOT = createHash('sha256').update(seededBytes(7, 300_000)).digest('hex');

/** Runs a program to its end; what it printed. */
async function run(name: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await startProcess(requirePeer(name), args).exited;
  if (code !== 0) throw new Error(`Cannot run "${name} ${args.join(' ')}": it ended with ${code}\n${stdout}\n${stderr}`);
  return `${stdout}${stderr}`;
}

const certificate = (): string[] => ['--cert', sidecar.path('web.pem'), '--key', sidecar.path('web.key')];

describe.skipIf(peer('curl') === null)('curl', () => {
  test.each(['mutual TLS', 'prior knowledge'])('asks and uploads over %s', async (transport) => {
    const isClear = transport === 'prior knowledge';
    const url = isClear ? `http://127.0.0.1:${clearPort}` : `https://127.0.0.1:${sidecar.inboundPort}`;
    const options = isClear ? ['--http2-prior-knowledge'] : ['--http2', '--insecure', ...certificate()];
    const body = `@${sidecar.path('body')}`;
    const out = await run('curl', [
      ...['-sS', '-i', ...options, '--data-binary', body, '-o', sidecar.path('answer'), '-D', '-'],
      `${url}/hash/7/300000`,
    ]);
    const caller = isClear ? null : mesh.id('web');
    expect(out).toContain('HTTP/2 200');
    expect(out).toContain(`x-received: ${SENT}`);
    expect(
      await sidecar.logged((line) => line['bytes_received'] === BODY.length && line['source_principal'] === caller),
    ).toMatchObject({
      protocol: 'HTTP/2',
      bytes_sent: 300_000,
    });
  });

  test('chooses HTTP/1.1 on the same port when it wants that', async () => {
    const out = await run('curl', [
      ...['-sS', '-i', '--http1.1', '--insecure', ...certificate(), '-o', '/dev/null', '-D', '-'],
      `https://127.0.0.1:${sidecar.inboundPort}/hash/7/1`,
    ]);
    expect(out).toContain('HTTP/1.1 200 OK');
  });
});

describe.skipIf(peer('nghttp') === null)('nghttp', () => {
  test('asks for many at once and uploads', async () => {
    const urls = Array.from({ length: 20 }, (_, index) => `https://127.0.0.1:${sidecar.inboundPort}/hash/${index}/30000`);
    const out = await run('nghttp', ['-nv', '-y', ...certificate(), ...urls]);
    expect(out.match(/recv \(stream_id=\d+\) :status: 200/g)?.length).toBe(20);
    expect(out).not.toContain('RST_STREAM');
    const upload = await run('nghttp', [
      '-nv',
      '-y',
      ...certificate(),
      '-d',
      sidecar.path('body'),
      `https://127.0.0.1:${sidecar.inboundPort}/hash/7/10`,
    ]);
    expect(upload).toContain(`x-received: ${SENT}`);
  });
});

describe.skipIf(peer('h2load') === null)('h2load', () => {
  test.each(['mutual TLS', 'prior knowledge'])('gets every answer over %s', async (transport) => {
    const relay = transport === 'mutual TLS' ? keep(await startTlsRelay(sidecar.inboundPort, web, ['h2'])) : null;
    const url = `http://127.0.0.1:${relay?.port ?? clearPort}/hash/5/900`;
    const out = await run('h2load', ['-n', '2000', '-c', '4', '-m', '20', url]);
    expect(out).toContain('2000 succeeded, 0 failed, 0 errored, 0 timeout');
    expect(out).toContain('status codes: 2000 2xx');
  });
});

describe('node:http2', () => {
  test('proves 400 random exchanges by their hashes, 30 at a time', async () => {
    const session = connect(`https://127.0.0.1:${sidecar.inboundPort}`, {
      ca: mesh.bundlePem,
      cert: mesh.svid('web').certificatePem,
      key: mesh.svid('web').keyPem,
      checkServerIdentity: () => undefined,
    });
    session.on('error', () => {});
    try {
      const random = new Random(20_260_401);
      let left = 400;
      const worker = async (): Promise<void> => {
        while (left-- > 0) {
          const id = random.below(1_000_000);
          const size = random.below(200_000);
          const body = random.chance(0.5) ? seededBytes(id + 1, random.below(200_000)) : null;
          const { bytes, head } = await exchange(session, `/hash/${id}/${size}`, body);
          expect(head[':status']).toBe(200);
          expect(head['x-received']).toBe(sha256(body ?? Buffer.alloc(0)));
          expect(sha256(bytes)).toBe(sha256(seededBytes(id, size)));
        }
      };
      await Promise.all(Array.from({ length: 30 }, worker));
    } finally {
      session.destroy();
    }
  });
});

describe.skipIf(peer('grpcurl') === null)('grpcurl', () => {
  const options = (): string[] => ['-insecure', '-cert', sidecar.path('web.pem'), '-key', sidecar.path('web.key')];

  test('lists by reflection, describes and calls', async () => {
    const target = `127.0.0.1:${callsPort}`;
    expect(await run('grpcurl', [...options(), target, 'list'])).toContain('postern.test.Echo');
    expect(await run('grpcurl', [...options(), target, 'describe', 'postern.test.Question'])).toContain('bytes payload = 1');
    const answer = await run('grpcurl', [...options(), '-d', '{"payload":"aGk="}', target, 'postern.test.Echo/Unary']);
    expect(JSON.parse(answer)).toEqual({ payload: 'aGk=', number: 2 });
  });

  test('is told of a denial', async () => {
    const call = run('grpcurl', [...options(), '-d', '{"times":1}', `127.0.0.1:${callsPort}`, 'postern.test.Echo/Count']);
    await expect(call).rejects.toThrow(/Code: PermissionDenied\s+Message: postern: access denied \(decision /);
  });
});

describe.skipIf(peer('envoy') === null)('Envoy', () => {
  let http: EnvoyCaller;
  let grpc: EnvoyCaller;

  beforeAll(async () => {
    http = await startEnvoyCaller(mesh, 'web', sidecar.inboundPort, mesh.id('app'));
    grpc = await startEnvoyCaller(mesh, 'web', callsPort, mesh.id('app'));
  });
  afterAll(async () => {
    await http?.[Symbol.asyncDispose]();
    await grpc?.[Symbol.asyncDispose]();
  });

  test('passes requests of both versions on by HTTP/2', async () => {
    const response = await fetch(`http://127.0.0.1:${http.port}/hash/7/300000`, { method: 'POST', body: new Uint8Array(BODY) });
    expect([response.status, response.headers.get('x-received')]).toEqual([200, SENT]);
    expect(sha256(Buffer.from(await response.arrayBuffer()))).toBe(GOT);
    const session = connect(`http://127.0.0.1:${http.port}`);
    session.on('error', () => {});
    try {
      const { bytes, head } = await exchange(session, '/hash/7/300000', BODY);
      expect([head[':status'], head['x-received'], sha256(bytes)]).toEqual([200, SENT, GOT]);
    } finally {
      session.destroy();
    }
    const lines = sidecar
      .log()
      .filter((line) => line['path'] === '/hash/7/300000' && line['source_principal'] === mesh.id('web'));
    expect(lines.at(-1)).toMatchObject({ protocol: 'HTTP/2', verdict: 'forwarded' });
  });

  test('passes gRPC on, statuses and denials included', async () => {
    const client = grpcClient(grpc.port, null);
    try {
      const answers = await new Promise<number[]>((done, failed) => {
        const numbers: number[] = [];
        const chat = client.Chat();
        chat.on('data', ({ number }: Answer) => {
          numbers.push(number);
          if (number < 20) chat.write({ payload: Buffer.alloc(10_000) });
          else chat.end();
        });
        chat.on('end', () => done(numbers)).on('error', failed);
        chat.write({});
      });
      expect(answers.length).toBe(21);
      const codes = [0, status.NOT_FOUND].map(
        (code) =>
          new Promise<number>((done) =>
            client.Unary({ code }, new Metadata(), {}, (error) => done(error === null ? 0 : error.code)),
          ),
      );
      expect(await Promise.all(codes)).toEqual([0, status.NOT_FOUND]);
      const denied = await new Promise<number>((done) => {
        client
          .Count({ times: 1 })
          .on('data', () => {})
          .on('end', () => done(0))
          .on('error', (error: Error & { code?: number }) => done(error.code ?? -1));
      });
      expect(denied).toBe(status.PERMISSION_DENIED);
    } finally {
      client.close();
    }
  });
});

function exchange(
  session: ClientHttp2Session,
  path: string,
  body: Buffer | null,
): Promise<{ head: IncomingHttpHeaders & { ':status'?: number | undefined }; bytes: Buffer }> {
  return new Promise((done, failed) => {
    const stream = session.request({ ':path': path, ':method': body === null ? 'GET' : 'POST' });
    const parts: Buffer[] = [];
    let head: IncomingHttpHeaders & { ':status'?: number | undefined } = {};
    stream.on('response', (told) => (head = told));
    stream.on('data', (bytes: Buffer) => parts.push(bytes));
    stream.on('end', () => done({ head, bytes: Buffer.concat(parts) }));
    stream.on('error', failed);
    stream.end(body ?? undefined);
  });
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
