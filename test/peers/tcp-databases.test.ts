/** Clients of databases through two sidecars: PostgreSQL with and without TLS of its own, Redis, and a server that greets first. */
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { freePort } from '#test/support/free-port.ts';
import { postgresPrograms, startPostgres, type Postgres } from '#test/support/postgres.ts';
import { startRespServer } from '#test/support/resp-server.ts';
import { eventually, policyYaml, startSidecar, type Settings, type Sidecar } from '#test/support/sidecar.ts';
import { keep, mesh } from '#test/support/sidecar-pair.ts';
import { startTcpApp, tcpClient } from '#test/support/tcp-app.ts';

interface Pair {
  readonly caller: Sidecar;
  readonly callee: Sidecar;
  /** Where the client connects. */
  readonly port: number;
  /** The listener of the callee. */
  readonly inboundPort: number;
}

/** `web` calls `app`, each behind a sidecar of its own. */
async function startPair(
  port: number,
  inbound: Settings = {},
  policies: Readonly<Record<string, string>> | null = null,
): Promise<Pair> {
  const inboundPort = await freePort();
  const callee = keep(
    await startSidecar({
      mesh,
      policies,
      inbound: [{ listen: `127.0.0.1:${inboundPort}`, forwardTo: `127.0.0.1:${port}`, ...inbound }],
      timeouts: { detect: '500ms' },
    }),
  );
  const caller = keep(
    await startSidecar({
      mesh,
      account: 'web',
      outbound: [{ forwardTo: `127.0.0.1:${inboundPort}`, expect: [mesh.id('app')] }],
      timeouts: { detect: '500ms' },
    }),
  );
  return { caller, callee, port: caller.outboundPort, inboundPort };
}

const BY_WEB = {
  'web.yaml': policyYaml('web', { rules: [{ from: [{ source: { principals: ['cluster.local/ns/test/sa/web'] } }] }] }),
};
const BY_OTHER = {
  'other.yaml': policyYaml('other', { rules: [{ from: [{ source: { principals: ['cluster.local/ns/test/sa/other'] } }] }] }),
};

describe.skipIf(postgresPrograms() === null)('PostgreSQL', { timeout: 60_000 }, () => {
  let plain: Postgres;
  let secure: Postgres;

  beforeAll(async () => {
    plain = await startPostgres(null);
    secure = await startPostgres(mesh.svid('database'));
  }, 120_000);
  afterAll(async () => {
    await plain[Symbol.asyncDispose]();
    await secure[Symbol.asyncDispose]();
  });

  async function connected(port: number, ssl: pg.ClientConfig['ssl']): Promise<pg.Client & AsyncDisposable> {
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'tester', database: 'postgres', ssl: ssl ?? false });
    client.on('error', () => {});
    await client.connect();
    return Object.assign(client, { [Symbol.asyncDispose]: () => client.end().catch(() => {}) });
  }

  test('is queried through two sidecars, by the identity of the caller', async () => {
    const { port, callee } = await startPair(plain.port, {}, BY_WEB);
    await using client = await connected(port, false);
    expect((await client.query('select 6 * 7 as answer')).rows).toEqual([{ answer: 42 }]);
    const text = 'x'.repeat(3_000_000);
    expect(
      (await client.query('select length($1::text) as length, md5($1::text) = md5($2::text) as same', [text, text])).rows,
    ).toEqual([{ length: text.length, same: true }]);
    const { rows } = await client.query(
      'select count(*)::int as count, sum(length(repeat(md5(i::text), 10)))::int as bytes from generate_series(1, 20000) i',
    );
    expect(rows).toEqual([{ count: 20_000, bytes: 6_400_000 }]);
    const all = await client.query<{ text: string }>('select repeat(md5(i::text), 10) as text from generate_series(1, 20000) i');
    expect(all.rows.reduce((sum, row) => sum + row.text.length, 0)).toBe(6_400_000);
    await client.end();
    const line = await callee.logged((each) => each['close_reason'] !== undefined);
    expect(line).toMatchObject({
      source_principal: mesh.id('web'),
      decision: 'allow',
      policy: 'test/web',
      verdict: 'forwarded',
    });
    // The client's Terminate has the server close as well: either end's FIN may be seen first.
    expect(line['close_reason']).toMatch(/^(down|up)stream_closed$/);
  });

  test('says no to a request for TLS, which passes like any answer', async () => {
    const { port } = await startPair(plain.port);
    await expect(connected(port, { rejectUnauthorized: false })).rejects.toThrow('does not support SSL');
    // And the packet itself: eight bytes, one in answer.
    await using raw = await tcpClient(port);
    raw.write(Buffer.from('0000000804d2162f', 'hex'));
    await raw.until(({ text }) => text === 'N');
  });

  test('speaks TLS of its own through the mesh, and past it on a PERMISSIVE port', async () => {
    const { port, inboundPort } = await startPair(secure.port, { mtls: 'PERMISSIVE' });
    for (const each of [port, inboundPort]) {
      await using client = await connected(each, { rejectUnauthorized: false });
      const { rows } = await client.query<{ ssl: boolean }>('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
      expect(rows).toEqual([{ ssl: true }]);
    }
  });

  test('is not reached by whom the policy does not allow', async () => {
    const { port, callee } = await startPair(plain.port, {}, BY_OTHER);
    await expect(connected(port, false)).rejects.toThrow(/terminated unexpectedly|ECONNRESET/);
    expect(await callee.logged((line) => line['verdict'] === 'denied')).toMatchObject({
      source_principal: mesh.id('web'),
      bytes_sent: 0,
    });
  });
});

describe('Redis', { timeout: 60_000 }, () => {
  test('is spoken to by ioredis through two sidecars, with pipelines and subscriptions', async () => {
    const server = keep(await startRespServer());
    const { port, callee } = await startPair(server.port, {}, BY_WEB);
    const [client, subscriber] = Array.from(
      { length: 2 },
      () => new Redis({ host: '127.0.0.1', port, lazyConnect: true, retryStrategy: () => null }),
    );
    if (client === undefined || subscriber === undefined) throw new Error('two were made');
    for (const each of [client, subscriber]) {
      each.on('error', () => {});
      await each.connect();
    }
    expect(await client.set('key', 'v'.repeat(100_000))).toBe('OK');
    expect(await client.get('key')).toHaveLength(100_000);
    const pipeline = client.pipeline();
    for (let index = 0; index < 500; index++) pipeline.incr('count');
    const answers = (await pipeline.exec()) ?? [];
    expect(answers.map(([, value]) => value)).toEqual(Array.from({ length: 500 }, (_, index) => index + 1));
    const heard: string[] = [];
    subscriber.on('message', (_channel, message) => heard.push(message));
    await subscriber.subscribe('news');
    expect(await client.publish('news', 'hello')).toBe(1);
    await eventually('the message', () => heard.length === 1);
    client.disconnect();
    subscriber.disconnect();
    await callee.logged((line) => line['close_reason'] !== undefined);
  });
});

describe('a server that greets first', { timeout: 60_000 }, () => {
  /** The beginning of MySQL's handshake packet: length, number, protocol 10 and the version. */
  const GREETING = Buffer.concat([Buffer.from([0x4a, 0, 0, 0, 10]), Buffer.from('8.0.36\0'), Buffer.alloc(66, 1)]);

  test.each([
    { what: 'detected after a silence on both sides', inbound: {} },
    { what: 'declared', inbound: { protocol: 'tcp' } },
  ])('is heard through two sidecars, $what', async ({ inbound }) => {
    const server = keep(
      await startTcpApp((connection) => {
        connection.write(GREETING);
        connection.socket.once('data', () => connection.socket.end('ok'));
      }),
    );
    const { port } = await startPair(server.port, inbound, BY_WEB);
    await using client = await tcpClient(port);
    await client.until(({ bytes }) => bytes === GREETING.length);
    client.write(Buffer.from([1, 0, 0, 1, 0]));
    await client.over();
    expect(client.text).toBe(`${GREETING.toString('latin1')}ok`);
  });
});
