/** A sidecar of several data processes: one that dies takes its own connections with it and nothing else, and all answer as one. */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { statusOf } from '#test/support/http-reader.ts';
import { MixedLoad } from '#test/support/mixed-load.ts';
import { plainClient, tlsClient, type RawClient } from '#test/support/raw-client.ts';
import { GET, keep, mesh, web } from '#test/support/sidecar-pair.ts';
import {
  eventually,
  figure,
  IS_FULL,
  policyYaml,
  startSidecar,
  type Settings,
  type Sidecar,
  type SidecarOptions,
} from '#test/support/sidecar.ts';
import { http1Speaker, http2Speaker, startHttpApp, websocketSpeaker } from '#test/support/speakers.ts';

interface Worker {
  readonly worker: number;
  readonly pid: number;
  readonly revision?: string;
  readonly serial?: string;
}

async function running(options: Partial<SidecarOptions> = {}): Promise<Sidecar> {
  const app = keep(await startHttpApp());
  const forwardTo = `127.0.0.1:${app.port}`;
  const inbound = [
    { mtls: 'STRICT', forwardTo },
    { mtls: 'DISABLE', forwardTo },
  ];
  return keep(await startSidecar({ mesh, inbound, concurrency: 2, ...options }));
}

/** What the workers have in force, by the admin interface. */
async function workersOf(sidecar: Sidecar, path = '/policy'): Promise<readonly Worker[]> {
  const { workers } = await sidecar.adminRecord(path);
  return workers as readonly Worker[]; // the supervisor's answer names each
}

/** Connections with one request behind them, with the worker that has each. */
async function spread(
  sidecar: Sidecar,
  count: number,
): Promise<readonly { readonly client: RawClient; readonly worker: number }[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => plainClient(sidecar.inbound[1] ?? 0)));
  for (const client of clients) expect(statusOf(await client.ask(GET))).toBe(200);
  const known = (await sidecar.admin('/connections')) as readonly { readonly worker: number; readonly peer: string }[]; // as it is documented
  return clients.map((client) => {
    const { worker } = known.find(({ peer }) => peer === `127.0.0.1:${client.socket.localPort}`) ?? { worker: -1 };
    return { client, worker };
  });
}

describe('a worker that dies', () => {
  test('takes its own connections with it and no other, and is replaced', async () => {
    const sidecar = await running();
    const connections = await spread(sidecar, 40);
    const [victim] = await workersOf(sidecar);
    const its = connections.filter(({ worker }) => worker === victim?.worker);
    const others = connections.filter(({ worker }) => worker !== victim?.worker);
    // The kernel spreads by a hash: all forty with one worker would be one case in 2^39.
    expect(Math.min(its.length, others.length)).toBeGreaterThan(0);

    process.kill(victim?.pid ?? 0, 'SIGKILL');
    const startedMs = performance.now();
    const late = await Promise.all(Array.from({ length: 20 }, () => plainClient(sidecar.inbound[1] ?? 0)));
    const answers = await Promise.all(late.map((client) => client.ask(GET)));
    // Those that came meanwhile have waited in the queue of a socket that nobody closed.
    expect(answers.map(statusOf)).toEqual(answers.map(() => 200));
    const tookMs = performance.now() - startedMs;
    await sidecar.ready();
    figure(`a killed worker: ${its.length} connections lost, ${late.length} new ones answered after ${tookMs.toFixed(0)} ms`);
    for (const { client } of its) await client.over(1_000);
    for (const { client } of others) expect(statusOf(await client.ask(GET))).toBe(200);
    const after = await workersOf(sidecar);
    expect(after).toHaveLength(2);
    expect(after.map(({ pid }) => pid)).not.toContain(victim?.pid);
    expect(await sidecar.metric('postern_worker_restarts_total')).toBe(1);
    for (const { client } of connections) client.socket.destroy();
    for (const client of late) client.socket.destroy();
  });

  test('costs what was in flight on it, under load', async () => {
    const sidecar = await running();
    const load = new MixedLoad([
      http1Speaker(sidecar.inboundPort, web, { perSecond: 150 }),
      http2Speaker(sidecar.inboundPort, web, { perSecond: 150 }),
      websocketSpeaker(sidecar.inboundPort, web, { perSecond: 25 }),
    ]);
    await sleep(1_000);
    const rounds = IS_FULL ? 5 : 2;
    for (let i = 0; i < rounds; i++) {
      const worker = (await workersOf(sidecar))[i % 2];
      process.kill(worker?.pid ?? 0, 'SIGKILL');
      await sleep(20);
      await sidecar.ready();
      await sleep(500);
    }
    await load.stop();
    figure(`${rounds} workers killed under load: ${load.describe()}`);
    // Each of the twelve callers has one exchange at a time: at most that one is lost.
    expect(load.failures.length).toBeLessThanOrEqual(12 * rounds);
    // Nobody is refused: the sockets outlive their workers.
    expect(load.failures.filter(({ why }) => why.includes('ECONNREFUSED'))).toEqual([]);
    expect(await sidecar.process.end('SIGTERM', 40_000)).toMatchObject({ code: 0 });
  });

  test('again and again is given time, its ports are free meanwhile, and the sidecar is not ready', async () => {
    const sidecar = await running();
    const ended = (): number => sidecar.process.stderr.split('a worker ended').length - 1;
    for (let i = 0; i < 6; i++) {
      await eventually('worker 0', async () => (await workersOf(sidecar)).some(({ worker }) => worker === 0), 20_000);
      process.kill((await workersOf(sidecar)).find(({ worker }) => worker === 0)?.pid ?? 0, 'SIGKILL');
      await eventually('the end of worker 0', () => ended() > i);
    }
    expect(await sidecar.process.waitForLine('"restartMs":800', 10_000)).toContain('"worker":0');
    expect((await sidecar.status('/healthz/ready')).body).toBe('not ready: worker 0: waits to be started again\n');
    // All new connections go to the one that lives.
    for (let i = 0; i < 20; i++) {
      await using client = await plainClient(sidecar.inbound[1] ?? 0);
      expect(statusOf(await client.ask(GET, 700))).toBe(200);
    }
    await sidecar.ready();
  });
});

describe('all workers', () => {
  test('are one in status, metrics and admin', async () => {
    const policies = { 'p.yaml': policyYaml('some', { rules: [{ to: [{ operation: { paths: ['/x'] } }] }] }) };
    const sidecar = await running({ policies });
    const connections = await spread(sidecar, 30);
    expect(await sidecar.metric('postern_requests_total', 'verdict="forwarded"')).toBe(30);
    expect(await sidecar.metric('postern_connections_open')).toBe(30);
    expect(await sidecar.metric('postern_request_duration_seconds_count')).toBe(30);
    expect(await sidecar.metric('postern_workers')).toBe(2);
    // A denial is found wherever it was made.
    for (const { client } of connections.slice(0, 8)) {
      const denied = await client.ask('GET /no HTTP/1.1\r\nHost: a\r\n\r\n');
      expect(statusOf(denied)).toBe(403);
      const id = /x-postern-decision-id: (\S+)/iu.exec(denied.head)?.[1] ?? '';
      expect(await sidecar.adminRecord(`/decisions/${id}`)).toMatchObject({ id });
    }
    expect(await sidecar.admin('/decisions')).toHaveLength(8);
    expect(await sidecar.adminRecord('/config')).toMatchObject({ concurrency: 2 });
    // Whole lines, whoever wrote them.
    await eventually('the log', () => sidecar.log().length === 38);
    // The counts of one that has died are kept.
    const [first] = await workersOf(sidecar);
    process.kill(first?.pid ?? 0, 'SIGKILL');
    await eventually('the replacement', async () => (await sidecar.metric('postern_worker_restarts_total')) === 1);
    expect(await sidecar.metric('postern_requests_total', 'verdict="forwarded"')).toBe(30);
    for (const { client } of connections) client.socket.destroy();
  });

  test('get a new policy, and one that starts later has it although the file is broken by then', async () => {
    const sidecar = await running({ policies: { 'p.yaml': policyYaml('all', { rules: [{}] }) } });
    const [{ revision: before } = { revision: '' }] = await workersOf(sidecar);
    sidecar.put('policies/p.yaml', policyYaml('none', { rules: [{ to: [{ operation: { paths: ['/never'] } }] }] }));
    const changedMs = performance.now();
    await eventually('the new policy', async () => (await workersOf(sidecar)).every(({ revision }) => revision !== before));
    figure(`a policy is in force in two workers after ${(performance.now() - changedMs).toFixed(0)} ms`);
    const [{ revision } = { revision: '' }] = await workersOf(sidecar);
    sidecar.put('policies/p.yaml', 'broken: [');
    await sidecar.process.waitForLine('policy refused', 10_000);
    const [first] = await workersOf(sidecar);
    process.kill(first?.pid ?? 0, 'SIGKILL');
    await eventually(
      'the replacement',
      async () => {
        const now = await workersOf(sidecar);
        return now.length === 2 && now.every((worker) => worker.pid !== first?.pid && worker.revision === revision);
      },
      10_000,
    );
    await sidecar.ready();
    for (let i = 0; i < 10; i++) {
      await using client = await plainClient(sidecar.inbound[1] ?? 0);
      expect(statusOf(await client.ask(GET))).toBe(403);
    }
  });

  test('get a new identity', async () => {
    const sidecar = await running();
    const fresh = mesh.fresh('app');
    const before = await workersOf(sidecar, '/identity');
    sidecar.putSvid(fresh);
    await eventually('the new serial', async () => {
      const now = await workersOf(sidecar, '/identity');
      return now.every(({ serial }, i) => serial !== undefined && serial !== before[i]?.serial);
    });
    for (let i = 0; i < 10; i++) {
      await using client = await tlsClient(sidecar.inboundPort, web);
      expect(statusOf(await client.ask(GET))).toBe(200);
    }
  });

  test('are gone with their supervisor', async () => {
    const sidecar = await running();
    const pids = (await workersOf(sidecar)).map(({ pid }) => pid);
    expect(pids.every((pid) => existsSync(`/proc/${pid}`))).toBe(true);
    sidecar.process.signal('SIGKILL');
    await eventually('the end of the workers', () => pids.every((pid) => !existsSync(`/proc/${pid}`)), 10_000);
  });

  test('share a Unix socket', async () => {
    const sidecar = await running({
      outbound: [{ listen: 'unix:out.sock', forwardTo: '127.0.0.1:9', expect: [mesh.id('app')] }] satisfies Settings[],
    });
    expect(existsSync(sidecar.path('out.sock'))).toBe(true);
    expect(await sidecar.process.end('SIGTERM', 40_000)).toMatchObject({ code: 0 });
    expect(existsSync(sidecar.path('out.sock'))).toBe(false);
    expect(existsSync(sidecar.path('admin.sock'))).toBe(false);
  });
});

test.each([1, 2])('status and admin of %d processes answer within 100 ms under load', async (concurrency) => {
  const sidecar = await running({ concurrency });
  const load = new MixedLoad([
    http1Speaker(sidecar.inboundPort, web, { perSecond: 400, connections: 8 }),
    http2Speaker(sidecar.inboundPort, web, { perSecond: 400, connections: 8 }),
  ]);
  await sleep(500);
  const tookMs: number[] = [];
  for (let i = 0; i < 40; i++) {
    for (const ask of [
      () => sidecar.status('/healthz/ready'),
      () => sidecar.status('/metrics'),
      () => sidecar.admin('/policy'),
    ]) {
      const startedMs = performance.now();
      await ask();
      tookMs.push(performance.now() - startedMs);
    }
    await sleep(20);
  }
  await load.stop();
  tookMs.sort((a, b) => a - b);
  const at = (share: number): number => tookMs[Math.floor(tookMs.length * share)] ?? 0;
  figure(`status of ${concurrency}: p50 ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms; ${load.describe()}`);
  // The median, because this machine may be anybody's as well.
  expect(at(0.5)).toBeLessThan(100);
});

test('a sidecar of several processes does not start where it cannot listen', async () => {
  const sidecar = await running();
  // That port is another's.
  const inbound = [{ mtls: 'DISABLE', listen: `127.0.0.1:${sidecar.statusPort}`, forwardTo: '127.0.0.1:9' }];
  await expect(startSidecar({ mesh, inbound, concurrency: 2 })).rejects.toThrow('address already in use');
});
