/**
 * Requests that wait for an external authorizer, in every protocol: what comes meanwhile is not lost, who goes away takes the question
 * along, many at once are bounded, and what is in force when the answer comes decides.
 */
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { describe, expect, onTestFinished, test } from 'vitest';

import { ALL_ASKED, startAsked, startAskedPlain } from '#test/support/asked-sidecar.ts';
import { ALLOWED, allowedWith, DENIED, deniedWith } from '#test/support/ext-authz.ts';
import { grpcClient, startGrpcApp } from '#test/support/grpc-app.ts';
import { h2TlsClient, head } from '#test/support/h2-client.ts';
import { h2Session, h2Websocket } from '#test/support/h2-websocket.ts';
import { startHashingApp } from '#test/support/hashing-app.ts';
import { fieldOf, statusOf } from '#test/support/http-reader.ts';
import { plainClient, tlsClient } from '#test/support/raw-client.ts';
import { ok } from '#test/support/raw-upstream.ts';
import { eventually, figure, policyYaml } from '#test/support/sidecar.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { startEchoingApp, websocket } from '#test/support/websocket-peers.ts';

const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n${fields}\r\n`;

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

describe('over HTTP/1.1', () => {
  test('a body that comes meanwhile arrives whole; 100 is said after the yes', async () => {
    const app = keep(await startHashingApp());
    const gate = Promise.withResolvers<void>();
    const { sidecar, authorizer } = await startAsked(`127.0.0.1:${app.port}`, () => gate.promise.then(() => ALLOWED));
    const body = randomBytes(3_000_000);
    await using client = await tlsClient(sidecar.inboundPort, web);
    await using expecting = await tlsClient(sidecar.inboundPort, web);
    client.write(
      Buffer.concat([Buffer.from(`POST /asked/up HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`), body]),
    );
    client.reader.expect('POST');
    expecting.write('POST /asked/up HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n');
    expecting.reader.expect('POST');
    await eventually('both questions', () => authorizer.checks.length === 2);
    await sleep(300);
    expect(expecting.bytesReceived).toBe(0);
    gate.resolve();
    expect(fieldOf((await client.response()).fields, 'x-received')).toBe(sha256(body));
    await eventually('a 100', () => expecting.bytesReceived > 0);
    expecting.write('body');
    expect(fieldOf((await expecting.response()).fields, 'x-received')).toBe(sha256(Buffer.from('body')));
  });

  test('a body is asked about whole, or answered with 413', async () => {
    const { sidecar, authorizer, upstream } = await startAskedPlain(() => ALLOWED, {
      includeRequestBodyInCheck: { maxRequestBytes: 10 },
    });
    await using client = await tlsClient(sidecar.inboundPort, web);
    const post = (length: number): string =>
      `POST /asked/p HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n${'x'.repeat(length)}`;
    expect(statusOf(await client.ask(post(10)))).toBe(200);
    expect(authorizer.checks[0]?.attributes.request.http.body).toBe('x'.repeat(10));
    expect(upstream.requests[0]?.body.toString()).toBe('x'.repeat(10));
    expect(statusOf(await client.ask(post(11)))).toBe(413);
    expect(authorizer.checks).toHaveLength(1);
    expect(upstream.requests).toHaveLength(1);
  });

  test('a body that is asked about is asked for with 100, has to come in time, and is in nobody else’s way', async () => {
    const { sidecar, authorizer, upstream } = await startAskedPlain(
      () => ALLOWED,
      { includeRequestBodyInCheck: { maxRequestBytes: 10 }, concurrency: 2 },
      { timeouts: { bodyIdle: '1s' } },
    );
    const post = (fields = ''): string => `POST /asked/p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n${fields}\r\n`;
    await using client = await tlsClient(sidecar.inboundPort, web);
    client.write(post('Expect: 100-continue\r\n'));
    client.reader.expect('POST');
    await eventually('a 100', () => client.bytesReceived > 0);
    expect(authorizer.checks).toHaveLength(0);
    client.write('body');
    expect(statusOf(await client.response())).toBe(200);
    expect(upstream.requests.at(-1)?.body.toString()).toBe('body');

    await using slow = await tlsClient(sidecar.inboundPort, web);
    await using slower = await tlsClient(sidecar.inboundPort, web);
    for (const each of [slow, slower]) {
      each.write(`${post()}b`);
      each.reader.expect('POST');
    }
    const dribble = setInterval(() => slower.write('o'), 600);
    onTestFinished(() => clearInterval(dribble));
    await sleep(200);
    await using third = await tlsClient(sidecar.inboundPort, web);
    expect(statusOf(await third.ask(`${post()}body`))).toBe(403);
    expect(await sidecar.logged((line) => line['response_code'] === 403)).toMatchObject({ decision_code: 'provider_overloaded' });
    expect([statusOf(await slow.response()), statusOf(await slower.response())]).toEqual([408, 408]);
    await using fourth = await tlsClient(sidecar.inboundPort, web);
    expect(statusOf(await fourth.ask(`${post()}body`))).toBe(200);
  });

  test('a caller that goes away takes its question along', async () => {
    const { sidecar, authorizer, upstream } = await startAskedPlain(() => null, { timeout: '20s' }, { mtls: 'DISABLE' });
    const client = await plainClient(sidecar.inboundPort);
    client.write(get('/asked/a'));
    await eventually('the question', () => authorizer.checks.length === 1);
    client.socket.resetAndDestroy();
    await eventually('the question to be given up', () => authorizer.cancelled === 1);
    expect(await sidecar.logged(({ path }) => path === '/asked/a')).toMatchObject({ reason: 'downstream_closed' });
    expect(upstream.bytes).toBe(0);
  });

  test('a drain waits for the answer', async () => {
    const { sidecar, authorizer } = await startAskedPlain(() => sleep(600).then(() => ALLOWED));
    await using client = await tlsClient(sidecar.inboundPort, web);
    client.reader.expect('GET');
    client.write(get('/asked/a'));
    await eventually('the question', () => authorizer.checks.length === 1);
    process.kill(sidecar.process.pid, 'SIGTERM');
    const answer = await client.response();
    expect([statusOf(answer), fieldOf(answer.fields, 'connection')]).toEqual([200, 'close']);
  });

  test('a policy that comes into force meanwhile is the one that judges', async () => {
    const gate = Promise.withResolvers<void>();
    const { sidecar, authorizer, upstream } = await startAskedPlain(() => gate.promise.then(() => ALLOWED));
    await using client = await tlsClient(sidecar.inboundPort, web);
    client.reader.expect('GET');
    client.write(get('/asked/a'));
    await eventually('the question', () => authorizer.checks.length === 1);
    const { revision } = await sidecar.adminRecord('/policy');
    sidecar.put(
      'policies/deny.yaml',
      policyYaml('closed', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/asked/a'] } }] }] }),
    );
    await eventually('the new policy', async () => (await sidecar.adminRecord('/policy'))['revision'] !== revision);
    gate.resolve();
    expect(statusOf(await client.response())).toBe(403);
    expect(upstream.bytes).toBe(0);
    expect(await sidecar.logged(({ path }) => path === '/asked/a')).toMatchObject({ policy: 'test/closed' });
  });
});

describe('over HTTP/2', () => {
  test('a thousand requests at once wait, are bounded, and each gets its own answer', async () => {
    const gate = Promise.withResolvers<void>();
    const { sidecar, authorizer, upstream } = await startAskedPlain(
      ({ attributes }) =>
        gate.promise.then(() =>
          attributes.request.http.path.endsWith('1') ? DENIED : allowedWith({ 'x-path': attributes.request.http.path }),
        ),
      { concurrency: 900, timeout: '20s' },
      { limits: { http2: { concurrentStreams: 1_100 } } },
    );
    upstream.behaviour = {
      onRequest: (connection, request) => connection.write(ok(request.fields.find(([name]) => name === 'x-path')?.[1] ?? '')),
    };
    await using client = await h2TlsClient(sidecar.inboundPort, web);
    const ids = Array.from({ length: 1_000 }, (_, i) => client.open(head('GET', `/asked/${i}`)));
    await eventually('the questions', () => authorizer.checks.length === 900);
    await eventually('the refusals', () => ids.filter((id) => client.on(id).status === 403).length === 100);
    expect(upstream.requests).toHaveLength(0);
    gate.resolve();
    await eventually('all answers', () => ids.every((id) => client.on(id).isOver), 20_000);
    const answers = ids.map((id, i) => ({ i, status: client.on(id).status, text: client.on(id).text }));
    const allowed = answers.filter(({ status: code }) => code === 200);
    expect(allowed.every(({ i, text }) => text === `/asked/${i}` && i % 10 !== 1)).toBe(true);
    expect(allowed.length).toBe(authorizer.checks.filter(({ attributes }) => !attributes.request.http.path.endsWith('1')).length);
    expect(await sidecar.logged(({ decision_code: code }) => code === 'provider_overloaded')).toMatchObject({
      response_code: 403,
    });
  });

  test('a stream that is reset takes its question along', async () => {
    const { sidecar, authorizer, upstream } = await startAskedPlain(() => null, { timeout: '20s' });
    await using client = await h2TlsClient(sidecar.inboundPort, web);
    const id = client.open(head('GET', '/asked/a'));
    await eventually('the question', () => authorizer.checks.length === 1);
    client.reset(id, 8);
    await eventually('the question to be given up', () => authorizer.cancelled === 1);
    expect(upstream.bytes).toBe(0);
  });

  test('a body that comes meanwhile arrives whole', async () => {
    const app = keep(await startHashingApp());
    const { sidecar } = await startAsked(`127.0.0.1:${app.port}`, () => sleep(300).then(() => ALLOWED));
    await using client = await h2TlsClient(sidecar.inboundPort, web);
    const body = randomBytes(60_000);
    const id = client.open(head('POST', '/asked/up'), false);
    client.data(id, body.subarray(0, 30_000));
    client.data(id, body.subarray(30_000), true);
    await eventually('the answer', () => client.on(id).isOver);
    expect(client.on(id).valueOf('x-received')).toBe(sha256(body));
  });

  test('a gRPC call that is denied ends with PERMISSION_DENIED, or with what the status of the denial is to gRPC', async () => {
    const app = keep(await startGrpcApp());
    const answers = [DENIED, deniedWith(401, 'who are you'), ALLOWED];
    const { sidecar } = await startAsked(
      `h2c://127.0.0.1:${app.port}`,
      () => sleep(50).then(() => answers.shift() ?? DENIED),
      {},
      { policies: ALL_ASKED },
    );
    const client = grpcClient(sidecar.inboundPort, { mesh, account: 'web' });
    onTestFinished(() => client.close());
    const call = (): Promise<ServiceError | null> =>
      new Promise((done) => {
        client.Unary({ payload: Buffer.from('x') }, new Metadata(), { deadline: Date.now() + 5_000 }, (error) => done(error));
      });
    expect((await call())?.code).toBe(status.PERMISSION_DENIED);
    expect(await call()).toMatchObject({ code: status.UNAUTHENTICATED, details: 'who are you' });
    expect(await call()).toBeNull();
    expect(app.metadata).toHaveLength(1);
  });
});

describe('WebSocket', () => {
  test.each(['h1', 'h2'])('opens after the yes and not after a no, over %s', async (protocol) => {
    const app = keep(await startEchoingApp());
    const answers = [ALLOWED, deniedWith(403, 'no socket')];
    const { sidecar } = await startAsked(
      `127.0.0.1:${app.port}`,
      () => sleep(100).then(() => answers.shift() ?? DENIED),
      {},
      { policies: ALL_ASKED },
    );
    const open = () =>
      protocol === 'h1'
        ? websocket(sidecar.inboundPort, '/asked', web)
        : h2Session(sidecar.inboundPort, web).then((session) => h2Websocket(session, '/asked'));
    const socket = keep(await open());
    socket.socket.send('hello');
    expect((await socket.next()).data.toString()).toBe('hello');
    await expect(open()).rejects.toThrow(/403/u);
    expect(app.open).toBe(1);
  });

  test('stays open by its answer when the policies change, and ends when they want another authorizer asked', async () => {
    const app = keep(await startEchoingApp());
    const { sidecar, authorizer } = await startAsked(`127.0.0.1:${app.port}`, () => ALLOWED, {}, { policies: ALL_ASKED });
    const socket = keep(await websocket(sidecar.inboundPort, '/asked', web));
    const swap = async (name: string, text: string): Promise<void> => {
      const { revision } = await sidecar.adminRecord('/policy');
      sidecar.put(`policies/${name}`, text);
      await eventually('the new policy', async () => (await sidecar.adminRecord('/policy'))['revision'] !== revision);
    };
    await swap('deny.yaml', policyYaml('closed', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/other'] } }] }] }));
    await sleep(700);
    socket.socket.send('still here');
    expect((await socket.next()).data.toString()).toBe('still here');
    expect(authorizer.checks).toHaveLength(1);
    await swap('custom.yaml', policyYaml('outside', { action: 'CUSTOM', provider: { name: 'another' }, rules: [{}] }));
    await eventually('the end', () => socket.closed !== null);
    expect(socket.closed?.code).toBe(1008);
    figure('an open WebSocket whose answer no longer counts ended with 1008');
  });
});
