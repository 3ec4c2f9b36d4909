/** gRPC through a real sidecar: a real client by mutual TLS, a real workload over HTTP/2 in the clear. */
import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import {
  askHealth,
  grpcClient,
  startGrpcApp,
  type Answer,
  type EchoClient,
  type GrpcApp,
  type Question,
} from '#test/support/grpc-app.ts';
import { mesh, MIB } from '#test/support/sidecar-pair.ts';
import { eventually, policyYaml, startSidecar, type Sidecar } from '#test/support/sidecar.ts';

let app: GrpcApp;
let sidecar: Sidecar;
let client: EchoClient;
let stranger: EchoClient;

beforeAll(async () => {
  app = await startGrpcApp();
  const rule = (principal: string, paths: readonly string[]): object => ({
    from: [{ source: { principals: [principal] } }],
    to: [{ operation: { paths } }],
  });
  sidecar = await startSidecar({
    mesh,
    inbound: [{ mtls: 'STRICT', protocol: 'grpc', forwardTo: `h2c://127.0.0.1:${app.port}` }],
    policies: {
      'app.yaml': policyYaml('app', {
        action: 'ALLOW',
        rules: [
          rule('cluster.local/ns/test/sa/web', ['/postern.test.Echo/*', '/grpc.health.v1.Health/*']),
          rule('cluster.local/ns/test/sa/stranger', ['/postern.test.Echo/Unary']),
        ],
      }),
    },
    limits: { grpcMessage: '5MiB' },
    timeouts: { request: '20s' },
  });
  client = grpcClient(sidecar.inboundPort, { mesh, account: 'web' });
  stranger = grpcClient(sidecar.inboundPort, { mesh, account: 'stranger' });
});

afterAll(async () => {
  client?.close();
  stranger?.close();
  await sidecar?.[Symbol.asyncDispose]();
  await app?.[Symbol.asyncDispose]();
});

interface Outcome {
  readonly error: ServiceError | null;
  readonly answer: Answer | undefined;
  readonly head: Metadata;
  readonly trailers: Metadata;
}

function unary(who: EchoClient, question: Question, metadata = new Metadata(), deadlineMs = 15_000): Promise<Outcome> {
  return new Promise((done) => {
    let head = new Metadata();
    let trailers = new Metadata();
    const call = who.Unary(question, metadata, { deadline: Date.now() + deadlineMs }, (error, answer) => {
      setImmediate(() => done({ error, answer, head, trailers: error?.metadata ?? trailers }));
    });
    call.on('metadata', (told: Metadata) => (head = told));
    call.on('status', (told: { metadata: Metadata }) => (trailers = told.metadata));
  });
}

test('a unary call, its metadata both ways and its trailers', async () => {
  const metadata = new Metadata();
  metadata.set('x_with_underscore', 'kept');
  metadata.add('x-back', 'one');
  metadata.add('x-back', 'two');
  metadata.set('x-binary-bin', Buffer.from([0, 1, 255]));
  const { error, answer, head, trailers } = await unary(client, { payload: Buffer.from('hello') }, metadata);
  expect(error).toBeNull();
  expect(answer?.payload.toString()).toBe('hello');
  expect(head.get('x-head')).toEqual(['first']);
  expect(head.get('x-back')).toEqual(['one, two']);
  expect(trailers.get('x-trailer')).toEqual(['last']);
  const got = app.metadata.at(-1);
  expect(got?.get('x_with_underscore')).toEqual(['kept']);
  expect(got?.get('x-binary-bin')).toEqual([Buffer.from([0, 1, 255])]);
  expect(String(got?.get('x-forwarded-client-cert'))).toContain('URI=spiffe://cluster.local/ns/test/sa/web');
  expect(await sidecar.logged((line) => line['path'] === '/postern.test.Echo/Unary')).toMatchObject({
    protocol: 'HTTP/2',
    method: 'POST',
    response_code: 200,
    grpc_status: 0,
    grpc_messages_received: 1,
    grpc_messages_sent: 1,
    verdict: 'forwarded',
  });
});

test.each([0, 1, 65_536, 4 * MIB])('a unary call of %d bytes each way', async (size) => {
  const payload = Buffer.alloc(size, 7);
  const { error, answer } = await unary(client, { payload });
  expect(error).toBeNull();
  expect(answer?.payload.equals(payload)).toBe(true);
});

test('a message above the limit ends its call with RESOURCE_EXHAUSTED, whatever it claims', async () => {
  const before = app.metadata.length;
  const { error } = await unary(client, { payload: Buffer.alloc(5 * MIB) });
  expect(error?.code).toBe(status.RESOURCE_EXHAUSTED);
  expect(error?.metadata.get('x-postern-reason')).toEqual(['grpc_message_too_large']);
  await eventually('the call to be given up', () => app.cancelled > 0 || app.metadata.length === before);
});

test('an answer above the limit ends its call with RESOURCE_EXHAUSTED', async () => {
  const counted = await collected(client.Count({ payload: Buffer.alloc(5 * MIB - 6), times: 1 }));
  expect(counted.error?.code).toBe(status.RESOURCE_EXHAUSTED);
});

test.each([status.INVALID_ARGUMENT, status.NOT_FOUND, status.UNAUTHENTICATED])(
  "the workload's status %d passes",
  async (code) => {
    const { error, trailers } = await unary(client, { code });
    expect(error?.code).toBe(code);
    expect(error?.details).toBe('as asked: 50% ü');
    expect(trailers.get('x-trailer')).toEqual(['last']);
    expect(await sidecar.logged((line) => line['grpc_status'] === code)).toMatchObject({
      verdict: 'forwarded',
      response_code: 200,
    });
  },
);

describe('streams', () => {
  test('of questions', async () => {
    const answer = await new Promise<Answer | undefined>((done, failed) => {
      const call = client.Collect(new Metadata(), {}, (error, told) => (error === null ? done(told) : failed(error)));
      for (let index = 0; index < 200; index++) call.write({ payload: Buffer.alloc(5_000, index) });
      call.end();
    });
    expect(answer?.number).toBe(200);
    expect(answer?.payload.length).toBe(1_000_000);
    expect(await sidecar.logged((line) => line['path'] === '/postern.test.Echo/Collect')).toMatchObject({
      grpc_messages_received: 200,
      grpc_messages_sent: 1,
    });
  });

  test('of answers', async () => {
    const { answers, error } = await collected(client.Count({ payload: Buffer.alloc(5_000, 3), times: 300 }));
    expect(error).toBeNull();
    expect(answers.map(({ number }) => number)).toEqual(Array.from({ length: 300 }, (_, index) => index));
  });

  test('of answers that end with a status', async () => {
    const { answers, error } = await collected(client.Count({ times: 2, code: status.ABORTED }));
    expect([answers.length, error?.code]).toEqual([2, status.ABORTED]);
  });

  test('of both, each answer before the next question', async () => {
    const call = client.Chat();
    const answers: number[] = [];
    await new Promise<void>((done, failed) => {
      call.on('data', ({ number, payload }: Answer) => {
        expect(payload.length).toBe(100 * number);
        answers.push(number);
        if (number === 49) call.end();
        else call.write({ payload: Buffer.alloc(100 * (number + 1)) });
      });
      call.on('end', done).on('error', failed);
      call.write({});
    });
    expect(answers.length).toBe(50);
  });
});

test('health is a call like any other: it passes, and is judged', async () => {
  expect(await askHealth(client)).toBe(1);
  await expect(askHealth(stranger)).rejects.toMatchObject({ code: status.PERMISSION_DENIED });
});

test('a call that is given up is given up at the workload', async () => {
  const before = app.cancelled;
  const call = client.Chat();
  call.on('error', () => {});
  call.write({ payload: Buffer.from('x') });
  await new Promise((answered) => call.once('data', answered));
  call.cancel();
  await eventually('the workload to see it', () => app.cancelled === before + 1);
  expect(await sidecar.logged((line) => line['reason'] === 'downstream_closed')).toMatchObject({
    path: '/postern.test.Echo/Chat',
    response_code_details: 'downstream_closed[reset_cancel]',
    grpc_status: 1,
  });
});

describe('deadlines', () => {
  test('pass as they came when they are short', async () => {
    const started = performance.now();
    const error = await silent(client, 700);
    expect(error?.code).toBe(status.DEADLINE_EXCEEDED);
    expect(performance.now() - started).toBeLessThan(3_000);
    expect(app.deadlinesMs.at(-1)).toBeLessThanOrEqual(700);
  });

  test('are clamped to timeouts.request', async () => {
    await unary(client, {}, new Metadata(), 3_600_000);
    expect(app.deadlinesMs.at(-1)).toBeLessThanOrEqual(20_100);
    expect(app.deadlinesMs.at(-1)).toBeGreaterThan(15_000);
  });
});

test('calls are counted by how they ended', async () => {
  const before = await sidecar.metric('postern_grpc_calls_total', 'status="3"');
  await unary(client, { code: status.INVALID_ARGUMENT });
  expect(await sidecar.metric('postern_grpc_calls_total', 'direction="inbound",status="3"')).toBe(before + 1);
});

describe('denials', () => {
  test('are status 7 with the decision in message and trailers', async () => {
    const { error } = await collected(stranger.Count({ times: 1 }));
    expect(error?.code).toBe(status.PERMISSION_DENIED);
    const id = String(error?.metadata.get('x-postern-decision-id'));
    expect(id).toMatch(/^[0-9a-f]+-[0-9a-z]+$/);
    expect(error?.details).toBe(`postern: access denied (decision ${id})`);
    expect(error?.metadata.get('x-postern-reason')).toEqual(['denied_by_policy']);
    expect(await sidecar.logged((line) => line['decision_id'] === id)).toMatchObject({
      verdict: 'denied',
      response_code: 200,
      grpc_status: 7,
      protocol: 'HTTP/2',
    });
  });

  test('leave the other calls of the connection alone', async () => {
    const outcomes = await Promise.all([
      unary(stranger, { payload: Buffer.from('a') }),
      collected(stranger.Count({ times: 1 })),
      unary(stranger, { payload: Buffer.from('b') }),
    ]);
    expect(outcomes.map(({ error }) => error?.code)).toEqual([undefined, status.PERMISSION_DENIED, undefined]);
  });
});

function silent(who: EchoClient, deadlineMs: number): Promise<ServiceError | null> {
  return new Promise((done) => who.Silent({}, new Metadata(), { deadline: Date.now() + deadlineMs }, (error) => done(error)));
}

function collected(call: ReturnType<EchoClient['Count']>): Promise<{ answers: Answer[]; error: ServiceError | null }> {
  return new Promise((done) => {
    const answers: Answer[] = [];
    call.on('data', (answer: Answer) => answers.push(answer));
    call.on('end', () => done({ answers, error: null }));
    call.on('error', (error) => done({ answers, error: error as ServiceError })); // what grpc-js emits
  });
}
