/**
 * Upgrade under load: a successor, or one worker after the other, takes over the listening sockets. Every process is seen to be another
 * one, and no exchange fails.
 */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, onTestFinished, test } from 'vitest';

import { startGrpcApp } from '#test/support/grpc-app.ts';
import { statusOf } from '#test/support/http-reader.ts';
import { MixedLoad } from '#test/support/mixed-load.ts';
import { plainClient, tlsClient } from '#test/support/raw-client.ts';
import { GET, keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { eventually, figure, IS_FULL, policyYaml, startSidecar, type Sidecar } from '#test/support/sidecar.ts';
import {
  grpcSpeaker,
  http1Speaker,
  http2Speaker,
  startHttpApp,
  startTcpApp,
  tcpSpeaker,
  websocketSpeaker,
} from '#test/support/speakers.ts';

const UPGRADES = IS_FULL ? 20 : 6;

/** A sidecar of five protocols, and load on all of them. */
async function underLoad(concurrency: number): Promise<{ sidecar: Sidecar; load: MixedLoad }> {
  const app = keep(await startHttpApp());
  const tcp = keep(await startTcpApp());
  const grpc = keep(await startGrpcApp());
  const inbound = [
    { mtls: 'STRICT', forwardTo: `127.0.0.1:${app.port}` },
    { mtls: 'STRICT', protocol: 'tcp', forwardTo: `127.0.0.1:${tcp.port}` },
    { mtls: 'STRICT', protocol: 'grpc', forwardTo: `h2c://127.0.0.1:${grpc.port}` },
  ];
  const sidecar = keep(await startSidecar({ mesh, inbound, concurrency }));
  onTestFinished(() => endSuccessor(sidecar));
  const [http = 0, raw = 0, rpc = 0] = sidecar.inbound;
  const load = new MixedLoad([
    http1Speaker(http, web, { perSecond: 150 }),
    http2Speaker(http, web, { perSecond: 150 }),
    grpcSpeaker(rpc, web, 'web', { perSecond: 150, connections: 2 }),
    websocketSpeaker(http, web, { perSecond: 25 }),
    tcpSpeaker(raw, web, { perSecond: 25 }),
  ]);
  return { sidecar, load };
}

/** The pid of the last successor, which shares the first process's output. */
function successorOf(sidecar: Sidecar): number | null {
  const all = [...sidecar.process.stderr.matchAll(/"successor":(\d+)/gu)];
  return all.length === 0 ? null : Number(all.at(-1)?.[1]);
}

function endSuccessor(sidecar: Sidecar): void {
  const pid = successorOf(sidecar);
  try {
    if (pid !== null) process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** Has the process replaced by another; returns that one's pid. */
async function handOver(sidecar: Sidecar, pid: number): Promise<number> {
  process.kill(pid, 'SIGUSR2');
  await eventually('a successor', () => (successorOf(sidecar) ?? pid) !== pid && successorOf(sidecar) !== null, 30_000);
  return successorOf(sidecar) ?? 0;
}

describe('a process that runs by itself', () => {
  test('hands over to its successor again and again, and no exchange fails', { timeout: 300_000 }, async () => {
    const { sidecar, load } = await underLoad(1);
    await sleep(500);
    const pids = [sidecar.process.pid];
    for (let i = 0; i < UPGRADES; i++) {
      const before = pids.at(-1) ?? 0;
      const next = await handOver(sidecar, before);
      pids.push(next);
      expect((await sidecar.status('/healthz/ready')).body).toBe('ready\n');
      await eventually('the end of the former', () => !existsSync(`/proc/${before}`), 40_000);
    }
    await sleep(500);
    await load.stop();
    expect(new Set(pids).size).toBe(UPGRADES + 1);
    figure(`upgrade of one process, ${UPGRADES} times: ${load.describe()}`);
    expect(load.failures).toEqual([]);
  });

  test('goes on when the successor cannot start, and says why', async () => {
    const app = keep(await startHttpApp());
    const sidecar = keep(await startSidecar({ mesh, inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${app.port}` }] }));
    onTestFinished(() => endSuccessor(sidecar));
    const good = readFileSync(sidecar.path('proxy.yaml'), 'utf8');
    writeFileSync(sidecar.path('proxy.yaml'), good.replace('"STRICT"', '"STRIKT"'));
    sidecar.process.signal('SIGUSR2');
    const line = await sidecar.process.waitForLine('not handed over', 15_000);
    expect(line).toContain('STRIKT');
    await using client = await tlsClient(sidecar.inboundPort, web);
    expect(statusOf(await client.ask(GET))).toBe(200);
    expect((await sidecar.status('/healthz/ready')).code).toBe(200);
    // And it can still be done.
    writeFileSync(sidecar.path('proxy.yaml'), good);
    expect(await handOver(sidecar, sidecar.process.pid)).not.toBe(sidecar.process.pid);
  });

  test('hands over Unix sockets, the admin socket included, and the last one takes their files with it', async () => {
    const app = keep(await startHttpApp());
    const outbound = [
      {
        listen: 'unix:out.sock',
        forwardTo: `127.0.0.1:${app.port}`,
        expect: [mesh.id('app')],
      },
    ];
    const inbound = [{ mtls: 'DISABLE', forwardTo: `127.0.0.1:${app.port}` }];
    const sidecar = keep(await startSidecar({ mesh, inbound, outbound }));
    onTestFinished(() => endSuccessor(sidecar));
    const inode = statSync(sidecar.path('admin.sock')).ino;
    const before = sidecar.process.pid;
    const pid = await handOver(sidecar, before);
    await eventually('the end of the former', () => !existsSync(`/proc/${before}`), 40_000);
    expect(statSync(sidecar.path('admin.sock')).ino).toBe(inode);
    expect(statSync(sidecar.path('admin.sock')).mode & 0o777).toBe(0o600);
    expect(existsSync(sidecar.path('out.sock'))).toBe(true);
    expect(await sidecar.adminRecord('/policy')).toMatchObject({ state: 'allow_all' });
    process.kill(pid, 'SIGTERM');
    await eventually('the end', () => !existsSync(`/proc/${pid}`), 40_000);
    expect(existsSync(sidecar.path('admin.sock'))).toBe(false);
    expect(existsSync(sidecar.path('out.sock'))).toBe(false);
  });
});

describe('a supervisor', () => {
  test('replaces its workers again and again under the same pid, and no exchange fails', { timeout: 300_000 }, async () => {
    const { sidecar, load } = await underLoad(2);
    await sleep(500);
    const times = Math.ceil(UPGRADES / 3);
    const seen = new Set<number>();
    for (let i = 1; i <= times; i++) {
      sidecar.process.signal('SIGUSR2');
      await eventually('the replacement', () => sidecar.process.stderr.split('all workers are replaced').length > i, 40_000);
      for (const { pid } of await workersOf(sidecar)) seen.add(pid);
    }
    await sleep(500);
    await load.stop();
    expect(seen.size).toBeGreaterThanOrEqual(2 * times);
    figure(`upgrade of two workers, ${times} times: ${load.describe()}`);
    expect(load.failures).toEqual([]);
    expect(await sidecar.process.end('SIGTERM', 40_000)).toMatchObject({ code: 0 });
  });

  test('keeps its workers when the new ones cannot start, and takes a new configuration when they can', async () => {
    const app = keep(await startHttpApp());
    const inbound = [{ mtls: 'DISABLE', forwardTo: `127.0.0.1:${app.port}` }];
    const policies = { 'p.yaml': policyYaml('all', { rules: [{}] }) };
    const sidecar = keep(await startSidecar({ mesh, inbound, concurrency: 2, policies }));
    const good = readFileSync(sidecar.path('proxy.yaml'), 'utf8');
    const before = await workersOf(sidecar);
    writeFileSync(sidecar.path('proxy.yaml'), good.replace('"DISABLE"', '"DISABEL"'));
    sidecar.process.signal('SIGUSR2');
    expect(await sidecar.process.waitForLine('not upgraded', 15_000)).toContain('DISABEL');
    expect(await workersOf(sidecar)).toEqual(before);
    writeFileSync(sidecar.path('proxy.yaml'), good.replace('"concurrency": 2', '"concurrency": 3'));
    sidecar.process.signal('SIGUSR2');
    await sidecar.process.waitForLine('all workers are replaced', 40_000);
    await eventually('three workers', async () => (await workersOf(sidecar)).length === 3, 10_000);
    await using client = await plainClient(sidecar.inboundPort);
    expect(statusOf(await client.ask(GET))).toBe(200);
  });
});

async function workersOf(sidecar: Sidecar): Promise<readonly { readonly worker: number; readonly pid: number }[]> {
  const { workers } = await sidecar.adminRecord('/policy');
  const list = workers as readonly { readonly worker: number; readonly pid: number }[]; // the supervisor's answer names each
  return list.map(({ worker, pid }) => ({ worker, pid }));
}
