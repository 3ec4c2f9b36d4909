/**
 * What a running sidecar tells of itself: probes, metrics, admin answers without a key in them, and an access log that stays one JSON
 * object a line whatever a caller sends, and that never holds up traffic. And how it ends.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, describe, expect, test } from 'vitest';

import { statusOf, valuesOf } from '#test/support/http-reader.ts';
import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { runProcess } from '#test/support/processes.ts';
import { plainClient, tlsClient, type RawClient } from '#test/support/raw-client.ts';
import { ok, startUpstream, type RawUpstream, type UpstreamBehaviour } from '#test/support/raw-upstream.ts';
import {
  eventually,
  figure,
  policyYaml,
  startSidecar,
  type Settings,
  type Sidecar,
  type SidecarOptions,
} from '#test/support/sidecar.ts';
import { SteadyLoad } from '#test/support/steady-load.ts';

const mesh = new MeshIdentities();
const web = { mesh, svid: mesh.svid('web') };
const GET = 'GET /x HTTP/1.1\r\nHost: app.test\r\n\r\n';
const disposables: AsyncDisposable[] = [];
const keep = <T extends AsyncDisposable>(each: T): T => {
  disposables.push(each);
  return each;
};

afterEach(async () => {
  for (const each of disposables.splice(0).toReversed()) await each[Symbol.asyncDispose]();
});

interface Running {
  readonly sidecar: Sidecar;
  readonly upstream: RawUpstream;
  readonly tls: () => Promise<RawClient>;
  readonly plain: () => Promise<RawClient>;
}

async function running(options: Partial<SidecarOptions> = {}, behaviour: UpstreamBehaviour = {}): Promise<Running> {
  const upstream = keep(await startUpstream(behaviour));
  const forwardTo = `127.0.0.1:${upstream.port}`;
  const inbound = [
    { mtls: 'STRICT', forwardTo },
    { mtls: 'DISABLE', forwardTo },
  ];
  const sidecar = keep(await startSidecar({ mesh, inbound, ...options }));
  return {
    sidecar,
    upstream,
    tls: () => tlsClient(sidecar.inboundPort, web),
    plain: () => plainClient(sidecar.inbound[1] ?? 0),
  };
}

describe('status and admin', () => {
  test('tell what is in force, count what happened, and hold no key', async () => {
    const policies = {
      'p.yaml': policyYaml('allowed', { action: 'ALLOW', rules: [{ to: [{ operation: { paths: ['/x'] } }] }] }),
    };
    const { sidecar, tls, plain } = await running({ policies });
    await using client = await tls();
    expect(statusOf(await client.ask(GET))).toBe(200);
    expect(statusOf(await client.ask('GET /no HTTP/1.1\r\nHost: a\r\n\r\n'))).toBe(403);
    await using bad = await plain();
    expect(statusOf(await bad.ask('GET /x HTTP/1.1\r\n\r\n'))).toBe(400);

    expect(await sidecar.status('/healthz/ready')).toEqual({ code: 200, body: 'ready\n' });
    expect(await sidecar.status('/healthz/live')).toEqual({ code: 200, body: 'live\n' });
    expect((await sidecar.status('/shutdown')).code).toBe(404);
    const metrics = (await sidecar.status('/metrics')).body;
    expect(metrics).toMatch(/postern_requests_total\{[^}]*verdict="forwarded"[^}]*\} 1\n/);
    expect(metrics).toMatch(/postern_requests_total\{[^}]*verdict="denied"[^}]*\} 1\n/);
    expect(metrics).toMatch(/postern_failures_total\{reason="bad_authority"\} 1\n/);
    expect(metrics).toMatch(/postern_decisions_total\{decision="allow"[^}]*policy="test\/allowed"\} 1\n/);
    expect(metrics).toMatch(/^# TYPE postern_requests_total counter$/m);
    expect(metrics.match(/^# TYPE (\S+)/gm)?.length).toBe(new Set(metrics.match(/^# TYPE (\S+)/gm)).size);

    expect(statSync(sidecar.path('admin.sock')).mode & 0o777).toBe(0o600);
    const answers = [];
    for (const path of ['/config', '/policy', '/identity', '/connections', '/decisions']) answers.push(await sidecar.admin(path));
    const everything = [
      ...answers.map((answer) => JSON.stringify(answer)),
      metrics,
      sidecar.process.stderr,
      JSON.stringify(sidecar.log()),
    ].join('\n');
    expect(everything).toContain(mesh.id('app'));
    // Neither as text nor in its parts.
    const key = mesh.svid('app').keyPem;
    expect(everything).not.toContain('PRIVATE KEY');
    for (const line of key.split('\n').filter((each) => !each.startsWith('-') && each !== ''))
      expect(everything).not.toContain(line);
    expect(await sidecar.adminRecord('/identity')).toMatchObject({
      spiffeId: mesh.id('app'),
      serial: expect.stringMatching(/^[0-9A-F]+$/) as string,
    });
    expect(await sidecar.adminRecord('/policy')).toMatchObject({ state: 'ok', documents: 1, faults: [] });
  });

  test('take no orders and no odd questions', async () => {
    const { sidecar } = await running();
    for (const [method, path] of [
      ['POST', '/config'],
      ['DELETE', '/policy'],
      ['POST', '/healthz/live'],
      ['PUT', '/quit'],
    ] as const) {
      expect(await send({ socketPath: sidecar.path('admin.sock') }, method, path)).toBeGreaterThanOrEqual(400);
      expect(await send({ port: sidecar.statusPort }, method, path)).toBe(405);
    }
    for (const path of [
      '/decisions/',
      '/decisions/x',
      '/../config',
      '/config/..',
      '//config',
      '/__proto__',
      `/${'a'.repeat(8_000)}`,
    ]) {
      expect(await send({ socketPath: sidecar.path('admin.sock') }, 'GET', path)).toBe(404);
    }
    // Bytes that are no HTTP at all, on both.
    for (const target of [{ path: sidecar.path('admin.sock') }, { port: sidecar.statusPort, host: '127.0.0.1' }]) {
      const socket = createConnection(target).on('error', () => {});
      socket.resume().write('\x16\x03\x01\0\0garbage\r\n\r\n');
      await sleep(30);
      socket.destroy();
    }
    expect((await sidecar.status('/healthz/ready')).code).toBe(200);
  });
});

describe('the access log', () => {
  test('is one JSON object a line for every byte that a caller may send', async () => {
    const { sidecar, plain } = await running();
    let sent = 0;
    await using kept = await plain();
    let client = kept;
    const open: RawClient[] = [];
    for (let byte = 1; byte < 256; byte++) {
      for (const place of ['path', 'query', 'agent', 'trace', 'id', 'host'] as const) {
        if (client.isOver) open.push((client = await plain()));
        const odd = Buffer.from([byte]).toString('latin1');
        const at = (here: typeof place): string => (place === here ? `a${odd}b` : 'c');
        const text = `GET /${at('path')}?${at('query')} HTTP/1.1\r\nHost: ${at('host')}\r\nUser-Agent: ${at('agent')}\r\ntraceparent: ${at('trace')}\r\nX-Request-Id: ${at('id')}\r\n\r\n`;
        // A line end within a place makes other requests of it; those that follow are the product's to refuse.
        if (byte === 10 || byte === 13) continue;
        sent++;
        await client.ask(text).catch(() => null);
        if (client.reader.messages.at(-1)?.head.includes('connection: close') === true) await client.over(3_000);
      }
    }
    for (const each of open) await each[Symbol.asyncDispose]();
    await eventually('all lines', () => sidecar.log().length >= sent, 5_000);
    const text = readFileSync(sidecar.path('access.log'), 'latin1');
    const lines = text.split('\n').slice(0, -1);
    expect(lines).toHaveLength(sent);
    // Nothing in the file moves a terminal's cursor or ends a line.
    // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
    expect(text.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f]/);
    const decoded = readFileSync(sidecar.path('access.log'), 'utf8');
    // oxlint-disable-next-line no-control-regex -- C1 and the line ends of Unicode
    expect(decoded).not.toMatch(/[\u0080-\u009f\u2028\u2029]/);
    const codes = new Map<unknown, number>();
    for (const line of sidecar.log()) codes.set(line['response_code'], (codes.get(line['response_code']) ?? 0) + 1);
    figure(`log under byte sweeps: ${sent} requests, ${lines.length} lines, all JSON; statuses ${JSON.stringify([...codes])}`);
  }, 60_000);

  test.each([
    ['a FIFO that nobody reads', 'fifo'],
    ['a full disk', '/dev/full'],
  ])('in %s holds nothing up, counts what is lost, and lets the process end', async (_why, file) => {
    const upstream = keep(await startUpstream());
    const path = file === 'fifo' ? join('/tmp', `postern-fifo-${process.pid}-${Date.now()}`) : file;
    if (file === 'fifo') expect(spawnSync('mkfifo', [path]).status).toBe(0);
    const inbound = [{ mtls: 'DISABLE', forwardTo: `127.0.0.1:${upstream.port}` }];
    const sidecar = keep(await startSidecar({ mesh, inbound, accessLog: path }));
    const before = sidecar.residentBytes;
    const clients = await Promise.all(Array.from({ length: 8 }, () => plainClient(sidecar.inboundPort)));
    let slowest = 0;
    await Promise.all(
      clients.map(async (client) => {
        for (let i = 0; i < 400; i++) {
          const askedAt = performance.now();
          expect(statusOf(await client.ask(GET))).toBe(200);
          slowest = Math.max(slowest, performance.now() - askedAt);
        }
      }),
    );
    await eventually(
      'the count of lost lines',
      async () => (await sidecar.metric('postern_log_lines_dropped_total', 'access_log')) > 0,
      3_000,
    );
    const lost = await sidecar.metric('postern_log_lines_dropped_total', 'access_log');
    figure(
      `log into ${file}: 3200 requests, slowest ${slowest.toFixed(0)} ms, ${lost} lines lost and counted, RSS +${((sidecar.residentBytes - before) / 2 ** 20).toFixed(0)} MiB`,
    );
    for (const client of clients) await client[Symbol.asyncDispose]();
    expect(await sidecar.process.end('SIGTERM', 10_000)).toMatchObject({ code: 0, signal: null });
    if (file === 'fifo') spawnSync('rm', [path]);
  });

  test('goes on in a new file after SIGHUP, and nothing is lost', async () => {
    const { sidecar, tls } = await running();
    const load = new SteadyLoad(tls, 100, 4, GET);
    await sleep(300);
    renameSync(sidecar.path('access.log'), sidecar.path('access.log.1'));
    sidecar.process.signal('SIGHUP');
    await sleep(600);
    await load.stop();
    const exit = await sidecar.process.end('SIGTERM', 10_000);
    expect(exit).toMatchObject({ code: 0, signal: null });
    const count = (name: string): number => readFileSync(sidecar.path(name), 'utf8').split('\n').length - 1;
    expect(count('access.log')).toBeGreaterThan(0);
    expect(count('access.log') + count('access.log.1')).toBe(load.sent);
    expect(load.failures).toEqual([]);
  });

  test('SIGHUP reads policies at once', async () => {
    const allow = (path: string): string =>
      policyYaml('p', { action: 'ALLOW', rules: [{ to: [{ operation: { paths: [path] } }] }] });
    const { sidecar, tls } = await running({ policies: { 'p.yaml': allow('/y') } });
    await using client = await tls();
    expect(statusOf(await client.ask(GET))).toBe(403);
    sidecar.put('policies/p.yaml', allow('/x'));
    sidecar.process.signal('SIGHUP');
    await eventually('the new policy', async () => statusOf(await client.ask(GET)) === 200, 2_000);
  });
});

describe('the end', () => {
  const slow: UpstreamBehaviour = {
    onRequest(connection, request) {
      if (request.startLine.includes('/slow')) {
        connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nslow\r\n');
        setTimeout(() => connection.write('4\r\ndone\r\n0\r\n\r\n'), 800);
      } else connection.write(ok('fast'));
    },
  };

  test('by SIGTERM: what is in flight completes, nothing new begins, the probe says so, the status is 0', async () => {
    const { sidecar, tls, plain } = await running({}, slow);
    await using idle = await tls();
    await idle.ask(GET);
    await using first = await tls();
    await using second = await plain();
    await using uploading = await tls();
    first.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
    second.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
    uploading.write('POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab');
    await first.until(() => first.reader.heads.length > 0, 3_000);
    await second.until(() => second.reader.heads.length > 0, 3_000);
    const startedAt = performance.now();
    sidecar.process.signal('SIGTERM');
    await sidecar.process.waitForLine('draining', 2_000);
    expect((await sidecar.status('/healthz/ready')).code).toBe(503);
    expect((await sidecar.status('/healthz/live')).code).toBe(200);
    expect(await sidecar.admin('/policy')).toBeTruthy();
    await expect(plain()).rejects.toThrow(/ECONNREFUSED/);
    await idle.over(2_000);
    uploading.write('cd');
    const uploaded = await uploading.response();
    expect([statusOf(uploaded), ...valuesOf(uploaded.fields, 'connection')]).toEqual([200, 'close']);
    for (const client of [first, second]) {
      const response = await client.response();
      expect([statusOf(response), response.body.toString()]).toEqual([200, 'slowdone']);
      await client.over(2_000);
    }
    expect(await sidecar.process.exited).toMatchObject({ code: 0, signal: null });
    figure(`drain: 3 in flight completed, process ended after ${(performance.now() - startedAt).toFixed(0)} ms`);
    // The log is written out to its last line.
    const lines = readFileSync(sidecar.path('access.log'), 'utf8')
      .split('\n')
      .filter((line) => line !== '');
    expect(lines).toHaveLength(4);
  });

  test('comes in time although a caller never lets go', async () => {
    const { sidecar, plain } = await running({ timeouts: { drain: '1s' } satisfies Settings }, { onRequest: () => {} });
    const silent = await plainClient(sidecar.inbound[1] ?? 0, { allowHalfOpen: true });
    await using waiting = await plain();
    waiting.write(GET);
    await sleep(100);
    const startedAt = performance.now();
    expect(await sidecar.process.end('SIGTERM', 9_000)).toMatchObject({ code: 0, signal: null });
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    silent.socket.destroy();
  });

  test('requests that come while it drains are answered, with notice', async () => {
    const { sidecar, plain } = await running({}, slow);
    await using held = await plain();
    held.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n');
    await held.until(() => held.reader.heads.length > 0, 3_000);
    sidecar.process.signal('SIGTERM');
    const response = await held.response();
    expect(response.body.toString()).toBe('slowdone');
    await held.over(3_000);
    expect(await sidecar.process.exited).toMatchObject({ code: 0, signal: null });
  });
});

test('a configuration that is wrong ends with its place and what was wanted', async () => {
  const { sidecar } = await running();
  const text = readFileSync(sidecar.path('proxy.yaml'), 'utf8').replace('"mtls": "STRICT"', '"mtls": "STRIKT"');
  writeFileSync(sidecar.path('bad.yaml'), text);
  const { code, stderr } = await runProcess(process.execPath, ['bin/postern.js', 'proxy', '-c', sidecar.path('bad.yaml')]);
  expect(code).toBe(78);
  expect(stderr).toMatch(/bad\.yaml:\d+:\d+: .*STRIKT/);
});

function send(where: { socketPath?: string; port?: number }, method: string, path: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const asked = request(
    { ...where, ...(where.port === undefined ? {} : { host: '127.0.0.1' }), method, path, agent: false },
    (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    },
  );
  asked.on('error', reject);
  asked.end();
  return promise;
}
