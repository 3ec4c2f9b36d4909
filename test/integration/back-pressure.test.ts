/** No end of an exchange can make the sidecar hold what the other end does not take; and who takes it slowly gets all of it. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { expect, test } from 'vitest';

import { statusOf, valuesOf } from '#test/support/http-reader.ts';
import { ok } from '#test/support/raw-upstream.ts';
import { figure } from '#test/support/sidecar.ts';
import { GET, MIB, resident, startPair, warmUp } from '#test/support/sidecar-pair.ts';
import { SteadyLoad } from '#test/support/steady-load.ts';

test('an upstream that takes no body stalls its caller, and no memory is spent on it', async () => {
  const { sidecar, upstream, tls, plain } = await startPair(
    {
      onConnection(connection) {
        const stalls = (): void => {
          if (connection.reader.heads.at(-1)?.startsWith('POST /stall') === true) connection.socket.pause();
        };
        connection.socket.on('data', stalls);
      },
    },
    { bodyIdle: '3s' },
  );
  await warmUp(tls);
  const block = Buffer.alloc(MIB, 98);
  for (const [name, connectAs] of [
    ['mTLS', tls],
    ['plaintext', plain],
  ] as const) {
    await using client = await connectAs();
    let accepted = 0;
    const load = new SteadyLoad(tls, 50, 2, GET);
    const { beforeMib, peakMib } = await resident(sidecar, async () => {
      client.write(`POST /stall HTTP/1.1\r\nHost: a\r\nContent-Length: ${1024 * MIB}\r\n\r\n`);
      for (let i = 0; i < 1024 && !client.isOver; i++) {
        accepted++;
        if (!client.socket.write(block)) {
          await Promise.race([once(client.socket, 'drain'), once(client.socket, 'close'), client.over(10_000)]);
        }
      }
      await client.over(10_000);
    });
    await load.stop();
    const [response] = client.reader.messages;
    figure(
      `1 GiB to a stalled upstream over ${name}: ${accepted} MiB taken from the caller, RSS ${beforeMib.toFixed(1)} MiB +${(peakMib - beforeMib).toFixed(1)}`,
    );
    expect(
      response === undefined ? client.describe() : [statusOf(response), ...valuesOf(response.fields, 'x-postern-reason')],
    ).toEqual([504, 'upstream_timeout']);
    expect(peakMib - beforeMib).toBeLessThanOrEqual(8);
    expect(load.failures).toEqual([]);
    expect(upstream.requests.filter((each) => each.startLine.includes('/stall'))).toEqual([]);
  }
}, 60_000);

test('an upstream whose caller takes no response is stopped, and no memory is spent on it', async () => {
  const block = Buffer.alloc(MIB, 99);
  let written = 0;
  const { sidecar, tls } = await startPair({
    onRequest(connection, request) {
      if (!request.startLine.includes('/endless')) return connection.write(ok('true'));
      connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${1024 * MIB}\r\n\r\n`);
      const more = (): void => {
        while (written < 1024 && !connection.socket.destroyed) {
          written++;
          if (!connection.socket.write(block)) return;
        }
      };
      connection.socket.on('drain', more);
      more();
    },
  });
  await warmUp(tls);
  await using client = await tls();
  client.socket.pause();
  const { beforeMib, peakMib } = await resident(sidecar, async () => {
    client.write('GET /endless HTTP/1.1\r\nHost: a\r\n\r\n');
    await sleep(1_500);
  });
  figure(
    `1 GiB to a caller that does not read: ${written} MiB taken from the upstream, RSS ${beforeMib.toFixed(1)} MiB +${(peakMib - beforeMib).toFixed(1)}`,
  );
  expect(written).toBeLessThan(64);
  expect(peakMib - beforeMib).toBeLessThanOrEqual(8);
});

test('a caller that pipelines without reading is stopped, and no memory is spent on it', async () => {
  const body = 'b'.repeat(500);
  let answered = 0;
  const { sidecar, plain, tls } = await startPair({
    onRequest(connection) {
      answered++;
      connection.write(ok(body));
    },
  });
  await warmUp(tls, 8);
  await using client = await plain();
  client.socket.pause();
  const flood = Buffer.from(GET.repeat(1_000));
  const { beforeMib, peakMib } = await resident(sidecar, async () => {
    const until = performance.now() + 3_000;
    while (performance.now() < until) {
      if (!client.socket.write(flood)) await Promise.race([once(client.socket, 'drain'), sleep(200)]);
    }
  });
  figure(
    `pipelining without reading: ${answered} answered (${((answered * body.length) / MIB).toFixed(0)} MiB), RSS ${beforeMib.toFixed(1)} MiB +${(peakMib - beforeMib).toFixed(1)}`,
  );
  expect(peakMib - beforeMib).toBeLessThanOrEqual(16);
  // When it reads at last it gets them all, and then the next ones.
  const seen = client.reader.messages.length;
  client.socket.resume();
  await client.until(() => client.reader.messages.length > seen + 500, 10_000);
  expect(client.reader.fault).toBe('');
});

test('a slow reader gets all of a response, also of the last one of its connection', async () => {
  const body = Buffer.alloc(16 * MIB, 100);
  const { sidecar, tls, plain } = await startPair({
    onRequest(connection, request) {
      const size = Number(request.startLine.split(/[ /]/).at(4));
      connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      connection.socket.write(body.subarray(0, size));
    },
  });
  const kinds = [
    ['close', 'HTTP/1.1', 'Connection: close\r\n', false],
    ['half', 'HTTP/1.1', '', true],
    ['old', 'HTTP/1.0', '', false],
  ] as const;
  const read = async (
    transport: string,
    [kind, version, line, closes]: (typeof kinds)[number],
    size: number,
  ): Promise<string> => {
    await using client = await (transport === 'tls' ? tls() : plain());
    const path = `/${transport}/${kind}/${size}`;
    client.reader.expect('GET');
    client.write(`GET ${path} ${version}\r\nHost: a\r\n${line}\r\n`);
    if (closes) client.socket.end();
    // Until the sidecar has the whole response and only has to be rid of it; then for longer than any linger.
    while (!sidecar.log().some((each) => each['path'] === path)) {
      client.socket.pause();
      await sleep(40);
      client.socket.resume();
      await sleep(1);
    }
    client.socket.pause();
    await sleep(3_200);
    client.socket.resume();
    await client.until(() => client.isClosed || client.reader.messages.length > 0, 10_000);
    return `${path} ${client.reader.messages[0]?.body.length ?? client.describe()}`;
  };
  // Whether something waits in the process itself, and not in the kernel, depends on the size: some of these have it.
  const cases = Array.from({ length: 24 }, (_, i) => ({
    transport: i % 2 === 0 ? 'tls' : 'plain',
    kind: kinds[i % 3] ?? kinds[0],
    size: 9 * MIB + i * 90_000,
  }));
  const results = await Promise.all(cases.map(({ transport, kind, size }) => read(transport, kind, size)));
  expect(results).toEqual(cases.map(({ transport, kind, size }) => `/${transport}/${kind[0]}/${size} ${size}`));
}, 60_000);
