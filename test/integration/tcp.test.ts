/** Raw TCP through a sidecar, and through two: every byte and every end arrives, and what breaks off is broken off on the other side. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { freePort } from '#test/support/free-port.ts';
import { tlsSocket } from '#test/support/raw-client.ts';
import { eventually, figure, policyYaml, startSidecar, type Settings, type Sidecar } from '#test/support/sidecar.ts';
import { keep, mesh, MIB, web } from '#test/support/sidecar-pair.ts';
import { echo, startTcpApp, tcpClient, TcpConnection, type TcpApp } from '#test/support/tcp-app.ts';

type Connect = () => Promise<TcpConnection>;

interface Path {
  readonly app: TcpApp;
  readonly sidecar: Sidecar;
  /** In the clear into the outbound listener, and over mutual TLS to the inbound one of the same sidecar. */
  readonly mesh: Connect;
  readonly tls: Connect;
  readonly plain: Connect;
}

/** A sidecar whose outbound listener leads to its own inbound one. */
async function startPath(behaviour: (connection: TcpConnection) => void, settings: Settings = {}): Promise<Path> {
  const app = keep(await startTcpApp(behaviour));
  const forwardTo = `127.0.0.1:${app.port}`;
  const port = await freePort();
  const sidecar = keep(
    await startSidecar({
      mesh,
      inbound: [
        { listen: `127.0.0.1:${port}`, forwardTo },
        { mtls: 'DISABLE', forwardTo },
      ],
      outbound: [{ forwardTo: `127.0.0.1:${port}`, expect: [mesh.id('app')] }],
      ...settings,
    }),
  );
  return {
    app,
    sidecar,
    mesh: () => tcpClient(sidecar.outboundPort),
    plain: () => tcpClient(sidecar.inbound[1] ?? 0),
    async tls() {
      const socket = tlsSocket(port, web, { alpn: ['istio'], allowHalfOpen: true });
      const connection = new TcpConnection(socket);
      await once(socket, 'secureConnect');
      return connection;
    },
  };
}

const WAYS = ['plain', 'tls', 'mesh'] as const;
/** First bytes that are nobody's. */
const RAW = '\0\0';

describe.each(WAYS)('over %s', (way) => {
  test('a caller that ends its direction still gets what the app sends, and the app its end', async () => {
    const path = await startPath(({ socket }) => {
      const hash = createHash('sha256');
      socket.on('data', (chunk: Buffer) => hash.update(chunk));
      socket.on('end', () => socket.end(`sha256 ${hash.digest('hex')}`));
    });
    const content = Buffer.concat([Buffer.from(RAW), randomBytes(3 * MIB + 17)]);
    await using client = await path[way]();
    client.socket.end(content);
    await client.over(20_000);
    expect(client.text).toBe(`sha256 ${createHash('sha256').update(content).digest('hex')}`);
    expect(client.end).toBe('fin');
    const line = await path.sidecar.logged(
      (each) => each['close_reason'] !== undefined && each['bytes_received'] === content.length,
    );
    expect(line).toMatchObject({
      bytes_sent: client.bytes,
      close_reason: 'downstream_closed',
      method: null,
      path: null,
      protocol: null,
      response_code: 0,
      response_flags: '-',
      verdict: 'forwarded',
      reason: null,
    });
  });

  test('an app that ends its direction still gets what the caller sends', async () => {
    const content = randomBytes(2 * MIB);
    const path = await startPath(({ socket }) => {
      socket.once('data', () => socket.end(content));
    });
    await using client = await path[way]();
    client.write(RAW);
    await client.over(20_000);
    expect([client.end, client.bytes]).toEqual(['fin', content.length]);
    const more = randomBytes(MIB);
    client.socket.end(more);
    await eventually(
      'the rest',
      () => path.app.connections[0]?.bytes === more.length + RAW.length && path.app.connections[0].end === 'fin',
    );
    await path.sidecar.logged((each) => each['close_reason'] === 'upstream_closed');
  });

  test('an end that breaks off breaks the other one off', async () => {
    const path = await startPath(echo);
    await using client = await path[way]();
    client.write(RAW);
    await client.until(({ text }) => text === RAW);
    // A TLS client can't reset; its sidecar sees an end, as any peer would.
    if (way === 'tls') client.socket.destroy();
    else client.socket.resetAndDestroy();
    if (way !== 'tls') await eventually('the reset', () => path.app.connections[0]?.end === 'reset');
    else await eventually('the end', () => path.app.connections[0]?.isOver === true);
    await using second = await path[way]();
    second.write(RAW);
    await second.until(({ text }) => text === RAW);
    path.app.connections[1]?.socket.resetAndDestroy();
    await second.over();
    expect(second.end).toBe('reset');
    await path.sidecar.logged((each) => each['close_reason'] === 'upstream_reset' && each['reason'] === 'upstream_reset');
  });

  test('a side that takes nothing stops the other one, and nothing is kept for it', async () => {
    const content = Buffer.alloc(64 * MIB, 'x');
    let sent = 0;
    const path = await startPath(({ socket }) => {
      socket.once('data', () => {
        const more = (): void => {
          while (sent < content.length) {
            const next = content.subarray(sent, sent + MIB);
            sent += next.length;
            if (!socket.write(next)) return void socket.once('drain', more);
          }
          socket.end();
        };
        more();
      });
    });
    await using client = await path[way]();
    const before = path.sidecar.residentBytes;
    client.socket.pause();
    client.write(RAW);
    await sleep(800);
    const held = sent;
    expect(held).toBeLessThan(40 * MIB);
    await sleep(300);
    expect(sent - held).toBeLessThan(2 * MIB);
    const grown = (path.sidecar.residentBytes - before) / MIB;
    client.socket.resume();
    await client.over(30_000);
    expect(client.bytes).toBe(content.length);
    figure(
      `a reader of raw TCP over ${way} that takes nothing: ${(held / MIB).toFixed(1)} MiB sent, mostly into sockets, RSS +${grown.toFixed(1)} MiB`,
    );
    expect(grown).toBeLessThan(20);
  });
});

test('many connections at once lose no byte, in any pattern of sizes, pauses and ends', async () => {
  const path = await startPath(echo);
  const started = performance.now();
  let bytes = 0;
  const one = async (index: number): Promise<void> => {
    const content = Buffer.concat([Buffer.from(RAW), randomBytes(Math.floor(Math.random() * 200_000))]);
    bytes += content.length;
    await using client = await path[WAYS[index % 3] ?? 'plain']();
    const hash = createHash('sha256');
    client.socket.on('data', (chunk: Buffer) => hash.update(chunk));
    for (let at = 0; at < content.length;) {
      const length = 1 + Math.floor(Math.random() * 60_000);
      if (!client.socket.write(content.subarray(at, at + length))) await once(client.socket, 'drain');
      if (Math.random() < 0.1) await sleep(2);
      at += length;
    }
    client.socket.end();
    await client.over(30_000);
    expect([client.end, client.bytes, hash.digest('hex')]).toEqual([
      'fin',
      content.length,
      createHash('sha256').update(content).digest('hex'),
    ]);
  };
  for (let round = 0; round < 10; round++) await Promise.all(Array.from({ length: 24 }, (_, index) => one(index)));
  figure(
    `240 raw TCP connections, ${(bytes / MIB).toFixed(0)} MiB echoed, every SHA equal, in ${((performance.now() - started) / 1000).toFixed(1)} s`,
  );
  await eventually('that all are over', async () => (await path.sidecar.metric('postern_connections_open')) === 0);
  expect(await path.sidecar.metric('postern_tcp_connections_total', 'verdict="forwarded"')).toBeGreaterThanOrEqual(320);
}, 120_000);

describe('a decision about a connection', () => {
  // HTTP-only fields: a rule of ALLOW is dropped, a rule of DENY loses the field and denies more.
  test.each([
    {
      what: 'ALLOW by principal',
      spec: { rules: [{ from: [{ source: { principals: [`cluster.local/ns/test/sa/web`] } }] }] },
      isAllowed: true,
    },
    { what: 'ALLOW by port', spec: { rules: [{ to: [{ operation: { ports: ['80'] } }] }] }, isAllowed: false },
    { what: 'ALLOW by path', spec: { rules: [{ to: [{ operation: { paths: ['/x'] } }] }] }, isAllowed: false },
    { what: 'DENY by path', spec: { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/x'] } }] }] }, isAllowed: false },
    {
      what: 'DENY by path and another principal',
      spec: {
        action: 'DENY',
        rules: [
          { from: [{ source: { principals: ['cluster.local/ns/test/sa/other'] } }], to: [{ operation: { paths: ['/x'] } }] },
        ],
      },
      isAllowed: true,
    },
  ])('is made before a byte goes on: $what', async ({ spec, isAllowed }) => {
    const app = keep(await startTcpApp(echo));
    const inbound = [{ protocol: 'tcp', forwardTo: `127.0.0.1:${app.port}` }];
    const policies = { 'p.yaml': policyYaml('p', spec) };
    const sidecar = keep(await startSidecar({ mesh, inbound, policies, policySettings: { whenNoneSelects: 'allow' } }));
    await using client = new TcpConnection(tlsSocket(sidecar.inboundPort, web, { alpn: ['istio'] }));
    client.write(RAW);
    if (isAllowed) await client.until(({ text }) => text === RAW);
    else await client.over();
    expect([client.bytes > 0, app.connections.length > 0]).toEqual([isAllowed, isAllowed]);
    const line = await (client.socket.end(), sidecar.logged((each) => each['decision'] !== undefined));
    expect(line).toMatchObject({ decision: isAllowed ? 'allow' : 'deny', verdict: isAllowed ? 'forwarded' : 'denied' });
  });

  test('is a refusal while there is no policy', async () => {
    const app = keep(await startTcpApp(echo));
    const inbound = [{ protocol: 'tcp', mtls: 'DISABLE', forwardTo: `127.0.0.1:${app.port}` }];
    const sidecar = keep(await startSidecar({ mesh, inbound, policies: {}, awaitsReady: false }));
    await eventually(
      'the listener',
      async () => {
        await using client = await tcpClient(sidecar.inboundPort).catch(() => tcpClient(sidecar.statusPort));
        client.write(RAW);
        await client.over(5_000);
        return sidecar.log().some(({ reason }) => reason === 'policy_unavailable');
      },
      20_000,
    );
    expect(app.connections).toHaveLength(0);
  });
});

describe('a raw TCP connection ends', () => {
  test('when it is idle, and not while either side speaks', async () => {
    const path = await startPath(echo, { timeouts: { tcpIdle: '700ms' } });
    await using busy = await path.tls();
    await using idle = await path.tls();
    idle.write(RAW);
    for (let index = 0; index < 8; index++) {
      busy.write(RAW);
      await sleep(250);
    }
    expect([busy.end, idle.end]).toEqual(['open', 'fin']);
    await path.sidecar.logged(
      (each) => each['close_reason'] === 'idle' && each['reason'] === 'tcp_idle' && each['response_flags'] === 'SI',
    );
  });

  test('at its age', async () => {
    const path = await startPath(echo, { timeouts: { tcpAge: '1s' } });
    await using client = await path.tls();
    client.write(RAW);
    await client.over(4_000);
    expect(await path.sidecar.logged((each) => each['close_reason'] === 'age')).toMatchObject({
      reason: 'tcp_age',
      response_flags: 'DT',
    });
  });

  test('without an upstream, with the reason', async () => {
    const path = await startPath(echo);
    await path.app[Symbol.asyncDispose]();
    for (const way of WAYS) {
      await using client = await path[way]();
      client.write(RAW);
      await client.over();
      expect(client.bytes).toBe(0);
    }
    await path.sidecar.logged((each) => each['reason'] === 'upstream_connect_failed' && each['detail'] === 'econnrefused');
  });

  test('when the peer is not the expected one, before it gets a byte', async () => {
    const app = keep(await startTcpApp(echo));
    const port = await freePort();
    const sidecar = keep(
      await startSidecar({
        mesh,
        inbound: [{ listen: `127.0.0.1:${port}`, forwardTo: `127.0.0.1:${app.port}` }],
        outbound: [{ protocol: 'tcp', forwardTo: `127.0.0.1:${port}`, expect: [mesh.id('another')] }],
      }),
    );
    await using client = await tcpClient(sidecar.outboundPort);
    client.write(RAW);
    await client.over();
    expect(app.connections).toHaveLength(0);
    expect(await sidecar.logged((each) => each['reason'] === 'upstream_identity')).toMatchObject({
      detail: 'unexpected_id',
      response_flags: 'UFI',
    });
  });

  test('at once, when as many go to the peer as `circuit` allows', async () => {
    const app = keep(await startTcpApp(echo));
    const port = await freePort();
    const sidecar = keep(
      await startSidecar({
        mesh,
        inbound: [{ listen: `127.0.0.1:${port}`, forwardTo: `127.0.0.1:${app.port}` }],
        outbound: [{ protocol: 'tcp', forwardTo: `127.0.0.1:${port}`, expect: [mesh.id('app')], circuit: { connections: 2 } }],
      }),
    );
    const open = [await tcpClient(sidecar.outboundPort), await tcpClient(sidecar.outboundPort)];
    for (const client of open) {
      client.write(RAW);
      await client.until(({ text }) => text === RAW);
    }
    await using third = await tcpClient(sidecar.outboundPort);
    await third.over();
    await sidecar.logged((each) => each['reason'] === 'circuit_open' && each['close_reason'] === 'refused');
    expect(app.connections).toHaveLength(2);
    for (const client of open) await client[Symbol.asyncDispose]();
    await eventually('room again', async () => {
      await using next = await tcpClient(sidecar.outboundPort);
      next.write(RAW);
      await next.until((each) => each.text === RAW || each.isOver);
      return next.text === RAW;
    });
  });

  test('never with another endpoint untried', async () => {
    const app = keep(await startTcpApp(echo));
    const port = await freePort();
    const dead = await freePort();
    const sidecar = keep(
      await startSidecar({
        mesh,
        inbound: [{ listen: `127.0.0.1:${port}`, forwardTo: `127.0.0.1:${app.port}` }],
        outbound: [{ protocol: 'tcp', endpoints: [`127.0.0.1:${dead}`, `127.0.0.1:${port}`], expect: [mesh.id('app')] }],
      }),
    );
    for (let index = 0; index < 4; index++) {
      await using client = await tcpClient(sidecar.outboundPort);
      client.write(RAW);
      await client.until(({ text }) => text === RAW);
    }
    expect(app.connections).toHaveLength(4);
  });
});
