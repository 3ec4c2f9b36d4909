/**
 * An upstream that breaks the protocol in every way that a response can: the caller gets a 502 or sees that the response is broken, the
 * upstream's connection is dropped, and nothing of it reaches a second caller.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { requestLineOf, statusOf, valuesOf } from '#test/support/http-reader.ts';
import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { plainClient, tlsClient, type RawClient } from '#test/support/raw-client.ts';
import { ok, startUpstream, type RawUpstream, type UpstreamConnection } from '#test/support/raw-upstream.ts';
import { eventually, figure, startSidecar, type Sidecar } from '#test/support/sidecar.ts';

const mesh = new MeshIdentities();
let upstream: RawUpstream;
let sidecar: Sidecar;
/** The sidecar of a local app that calls `sidecar`. */
let caller: Sidecar;

beforeAll(async () => {
  upstream = await startUpstream();
  const forwardTo = `127.0.0.1:${upstream.port}`;
  sidecar = await startSidecar({
    mesh,
    inbound: [
      { mtls: 'STRICT', forwardTo },
      { mtls: 'DISABLE', forwardTo },
    ],
    timeouts: { response: '1s' },
  });
  caller = await startSidecar({
    mesh,
    account: 'web',
    outbound: [{ forwardTo: `127.0.0.1:${sidecar.inboundPort}`, expect: [mesh.id('app')] }],
    timeouts: { response: '3s' },
  });
});

beforeEach(() => {
  upstream.behaviour = {};
  upstream.forget();
});

afterAll(async () => {
  await caller[Symbol.asyncDispose]();
  await sidecar[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

const twoHops = (): Promise<RawClient> => plainClient(caller.outboundPort);
const web = (): Promise<RawClient> => tlsClient(sidecar.inboundPort, { mesh, svid: mesh.svid('web') });

/** Answers `/lie` as told and everything else truly. */
function lie(answer: string | ((connection: UpstreamConnection) => void)): void {
  upstream.behaviour = {
    onRequest(connection, request) {
      if (!requestLineOf(request)[1].startsWith('/lie')) return connection.write(ok('true'));
      if (typeof answer === 'string') return connection.write(answer);
      answer(connection);
    },
  };
}

async function liarIsDropped(): Promise<void> {
  const liar = upstream.connections.find(({ requests }) => requests.some((each) => requestLineOf(each)[1].startsWith('/lie')));
  await eventually('the end of the lying connection', () => liar !== undefined && (liar.isClosed || liar.end !== 'open'), 3_000);
  await using next = await web();
  const response = await next.ask(get('/next'));
  expect(response.body.toString()).toBe('true');
  const carrier = upstream.connections.find(({ requests }) => requests.some((each) => requestLineOf(each)[1] === '/next'));
  expect(carrier).not.toBe(liar);
}

const CHUNKS = '5\r\nhello\r\n0\r\n\r\n';

describe('a response head that is none is a 502, and the connection is dropped', () => {
  test.each([
    ['length and coding', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n' + CHUNKS],
    ['coding and length', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n' + CHUNKS],
    ['two lengths that differ', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!'],
    ['two lengths alike', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello'],
    ['a list of lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello'],
    ['a signed length', 'HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello'],
    ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello'],
    ['a hexadecimal length', 'HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello'],
    ['a length beyond 2^64', 'HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551621\r\n\r\nhello'],
    ['an empty length', 'HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello'],
    ['an unknown coding and a length', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: x\r\nContent-Length: 5\r\n\r\nhello'],
    ['gzip, chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n' + CHUNKS],
    ['chunked twice', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n' + CHUNKS],
    ['chunked, identity', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n' + CHUNKS],
    ['identity', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello'],
    ['chunked in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n' + CHUNKS],
    ['bare line feeds', 'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello'],
    ['one bare line feed', 'HTTP/1.1 200 OK\r\nX: y\nContent-Length: 5\r\n\r\nhello'],
    ['a bare carriage return', 'HTTP/1.1 200 OK\r\nX: y\rZ: a\r\nContent-Length: 5\r\n\r\nhello'],
    ['a folded line', 'HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 5\r\n\r\nhello'],
    ['a blank in a name', 'HTTP/1.1 200 OK\r\nX y: z\r\nContent-Length: 5\r\n\r\nhello'],
    ['a blank before the colon', 'HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello'],
    ['an empty name', 'HTTP/1.1 200 OK\r\n: z\r\nContent-Length: 5\r\n\r\nhello'],
    ['NUL in a value', 'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 5\r\n\r\nhello'],
    ['a line without a colon', 'HTTP/1.1 200 OK\r\nnothing\r\nContent-Length: 5\r\n\r\nhello'],
    ['status 99', 'HTTP/1.1 099 Low\r\nContent-Length: 5\r\n\r\nhello'],
    ['status 1000', 'HTTP/1.1 1000 High\r\nContent-Length: 5\r\n\r\nhello'],
    ['status 2', 'HTTP/1.1 2 Short\r\nContent-Length: 5\r\n\r\nhello'],
    ['no status', 'HTTP/1.1 \r\nContent-Length: 5\r\n\r\nhello'],
    ['a word for a status', 'HTTP/1.1 abc OK\r\nContent-Length: 5\r\n\r\nhello'],
    ['HTTP/2.0', 'HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
    ['HTTP/1.2', 'HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
    ['http in small letters', 'http/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
    ['HTTP/0.9', '<html>hello there</html>\r\n\r\n'],
    ['ICY', 'ICY 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
    ['a TLS alert', '\x15\x03\x03\0\x02\x02\x28\r\n\r\n'],
    ['a head of 100 KB', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(100_000)}\r\n\r\n`],
    ['3,000 fields', `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(3_000)}Content-Length: 0\r\n\r\n`],
    ['101 that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n'],
    ['101 behind a 103', 'HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n'],
    ['fifty 100 Continue', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(50) + ok('late')],
    ['5,000 Early Hints', 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'.repeat(5_000) + ok('late')],
  ])('%s', async (_why, answer) => {
    lie(answer);
    await using client = await web();
    const response = await client.ask(get('/lie'));
    expect(statusOf(response)).toBe(502);
    expect(valuesOf(response.fields, 'x-postern-reason')).toEqual(['upstream_malformed']);
    expect(response.head).not.toMatch(/hello|late/);
    await liarIsDropped();
    // The caller did nothing wrong: its connection goes on.
    expect(statusOf(await client.ask(get('/after')))).toBe(200);
  });

  test('a head that comes byte by byte and never ends is a 504', async () => {
    lie((connection) => {
      connection.write('HTTP/1.1 200 OK\r\nX: ');
      const timer = setInterval(() => (connection.socket.destroyed ? clearInterval(timer) : connection.write('y')), 20);
    });
    await using client = await web();
    const response = await client.ask(get('/lie'));
    expect([statusOf(response), ...valuesOf(response.fields, 'x-postern-reason')]).toEqual([504, 'upstream_timeout']);
    await liarIsDropped();
  });

  test('a silent upstream is a 504, one that closes instead of answering a 502', async () => {
    lie(() => {});
    await using client = await web();
    const silent = await client.ask(get('/lie'));
    expect([statusOf(silent), ...valuesOf(silent.fields, 'x-postern-reason')]).toEqual([504, 'upstream_timeout']);
    lie(({ socket }) => socket.end());
    const closed = await client.ask(get('/lie'));
    expect([statusOf(closed), ...valuesOf(closed.fields, 'x-postern-reason')]).toEqual([502, 'upstream_reset']);
    lie(({ socket }) => socket.resetAndDestroy());
    const reset = await client.ask('POST /lie HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n');
    expect([statusOf(reset), ...valuesOf(reset.fields, 'x-postern-reason')]).toEqual([502, 'upstream_reset']);
  });
});

test('interim responses up to the bound pass, 100 is kept from the caller', async () => {
  lie('HTTP/1.1 100 Continue\r\n\r\n' + 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'.repeat(19) + ok('final'));
  await using client = await web();
  const response = await client.ask(get('/lie'));
  expect(response.body.toString()).toBe('final');
  const interim = client.reader.messages.slice(0, -1);
  expect(interim.map(statusOf)).toEqual(Array.from({ length: 19 }, () => 103));
  expect(interim[0]?.head).toContain('Link: </x>');
});

describe('a response that breaks behind its head is broken for the caller as well', () => {
  const broken: readonly (readonly [string, string, 'fin' | 'reset' | 'open'])[] = [
    ['a body that is too short, then the end', 'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello', 'fin'],
    ['a body that is too short, then a reset', 'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello', 'reset'],
    ['chunks without the last', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', 'fin'],
    ['chunks without the last, then a reset', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', 'reset'],
    ['an end within a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhello', 'fin'],
    ['an end within a chunk size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5', 'fin'],
    ['an end within the trailers', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n', 'fin'],
    ['an end before the last line', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n', 'fin'],
    ['a chunk size that is none', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n', 'open'],
    ['a chunk that is too long', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n', 'open'],
    ['a bare line feed in the chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n', 'open'],
    ['a reset within a body without length', 'HTTP/1.1 200 OK\r\n\r\nhello', 'reset'],
  ];
  const callers = [
    ['HTTP/1.1 over mTLS', web, '1.1'],
    ['HTTP/1.1 in the clear', () => plainClient(sidecar.inbound[1] ?? 0), '1.1'],
    ['HTTP/1.0 over mTLS', web, '1.0'],
    ['HTTP/1.1 by way of two sidecars', twoHops, '1.1'],
    ['HTTP/1.0 by way of two sidecars', twoHops, '1.0'],
    ['HTTP/1.0 in the clear', () => plainClient(sidecar.inbound[1] ?? 0), '1.0'],
  ] as const;

  describe.each(callers)('%s', (_name, connect, version) => {
    test.each(broken)('%s', async (_why, answer, ending) => {
      lie((connection) => {
        connection.write(answer);
        setTimeout(() => {
          if (ending === 'fin') connection.socket.end();
          if (ending === 'reset') connection.socket.resetAndDestroy();
        }, 25);
      });
      await using client = await connect();
      client.reader.expect('GET');
      client.write(`GET /lie HTTP/${version}\r\nHost: a\r\n\r\n`);
      // A reset takes the head along that was under way; by way of two sidecars that is a 502, which is as clear.
      const isRefused = (): boolean => client.reader.messages.some((each) => statusOf(each) === 502);
      await client.until(() => client.isOver || isRefused(), 4_000);
      if (!isRefused()) await client.until(() => client.isClosed, 2_000);
      const complete = client.reader.messages.find((each) => statusOf(each) === 200);
      // A body that only the connection's end delimits is complete at an orderly end: there it has to be a reset.
      const looksComplete = complete !== undefined && client.error === '';
      expect({ looksComplete, seen: client.describe() }).toEqual({ looksComplete: false, seen: client.describe() });
      await liarIsDropped();
    });
  });
});

describe('by way of two sidecars', () => {
  test('a body that breaks the grammar, or breaks off, is never complete at the upstream', async () => {
    for (const tail of ['xyz\r\n', '5\r\nhelloX', '0\r\nX : y\r\n\r\n', null]) {
      upstream.forget();
      await using client = await twoHops();
      client.write('POST /two HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
      await eventually('the first chunk', () => upstream.connections.some(({ reader }) => reader.bodyBytes > 0), 3_000);
      if (tail === null) client.socket.resetAndDestroy();
      else client.write(tail);
      await eventually(
        'the end of the request',
        () => upstream.connections.every(({ end, isClosed }) => isClosed || end !== 'open'),
        3_000,
      );
      expect(upstream.requests).toEqual([]);
      expect(upstream.connections.filter(({ reader }) => reader.heads.length > 0).map(({ end }) => end)).toEqual(['reset']);
    }
  });

  test('the reason of the one that answers arrives, and that of an app that claims to be one does not', async () => {
    lie('HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello');
    await using client = await twoHops();
    const response = await client.ask(get('/lie'));
    expect([statusOf(response), ...valuesOf(response.fields, 'x-postern-reason')]).toEqual([502, 'upstream_malformed']);
    lie(
      ok(
        'app',
        'X-Postern-Reason: denied_by_policy\r\nX-Postern-Decision-Id: forged\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-Kept: 1\r\n',
      ),
    );
    const claimed = await client.ask(get('/lie'));
    expect(claimed.fields.map(([name]) => name.toLowerCase()).toSorted()).toEqual(['content-length', 'x-kept']);
  });
});

describe('what stands behind a response reaches nobody', () => {
  test.each([
    ['a body behind HEAD', 'HEAD', ok('smuggled')],
    ['a body behind 204', 'GET', 'HTTP/1.1 204 No Content\r\nContent-Length: 8\r\n\r\nsmuggled'],
    ['a body behind 304', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 8\r\n\r\nsmuggled'],
    ['a second response', 'GET', ok('true') + ok('smuggled')],
    ['bytes behind the length', 'GET', ok('true') + 'smuggled'],
    [
      'a response behind the last chunk',
      'GET',
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKS}${ok('smuggled')}`,
    ],
  ])('%s', async (_why, method, answer) => {
    lie(answer);
    await using client = await web();
    const response = await client.ask(`${method} /lie HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect(response.body.toString()).not.toContain('smuggled');
    const next = await client.ask(get('/after'));
    expect([statusOf(next), next.body.toString()]).toEqual([200, 'true']);
    expect(client.bytesReceived).toBeLessThan(2_000);
    expect(client.reader.fault).toBe('');
    await liarIsDropped();
  });

  const delays = [0, 1, 3];
  const pairs = [
    ['two identities over mTLS', () => web(), () => tlsClient(sidecar.inboundPort, { mesh, svid: mesh.svid('other') })],
    ['two connections in the clear', () => plainClient(sidecar.inbound[1] ?? 0), () => plainClient(sidecar.inbound[1] ?? 0)],
  ] as const;
  test.each(pairs)('an unsolicited response, between %s', async (name, connectA, connectB) => {
    let crossings = 0;
    let own = 0;
    let tries = 0;
    for (const delayMs of delays) {
      lie((connection) => {
        connection.write(ok('true'));
        const late = (): void => {
          if (!connection.socket.destroyed) connection.write(ok('smuggled'));
        };
        if (delayMs === 0) setImmediate(late);
        else setTimeout(late, delayMs);
      });
      await using a = await connectA();
      await using b = await connectB();
      for (let i = 0; i < TRIES; i++) {
        tries++;
        await a.ask(get('/lie'));
        const [ofB, ofA] = await Promise.all([b.ask(get('/b')), a.ask(get('/a'))]);
        if (ofB.body.includes('smuggled')) crossings++;
        if (ofA.body.includes('smuggled')) own++;
        if (statusOf(ofB) !== 200) crossings++;
      }
    }
    figure(
      `unsolicited responses, ${name}: ${tries} tries, ${crossings} crossings to the other caller, ${own} to the caller's own next request`,
    );
    expect(crossings).toBe(0);
  });
});

describe('an early response', () => {
  test('reaches the caller, and neither connection is used again', async () => {
    upstream.behaviour = {
      onBytes(connection) {
        if (
          connection.reader.isWithin &&
          connection.reader.heads[0]?.startsWith('POST /early') === true &&
          connection.reader.heads.length === 1
        ) {
          connection.reader.heads.push('answered');
          connection.write('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig');
        }
      },
    };
    await using client = await web();
    client.write('POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhello');
    const response = await client.response();
    expect([statusOf(response), response.body.toString()]).toEqual([413, 'big']);
    expect(valuesOf(response.fields, 'connection')).toEqual(['close']);
    await client.over(3_000);
    await eventually('the end of the connection', () => upstream.connections.every(({ end }) => end !== 'open'));
    expect(upstream.requests).toEqual([]);
  });

  test('that goes on after the request is complete is not cut off by the deadline of its head', async () => {
    upstream.behaviour = {
      onBytes(connection) {
        if (connection.reader.heads.length !== 1) return;
        connection.reader.heads.push('answered');
        connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
        let sent = 0;
        const timer = setInterval(() => {
          connection.write(sent++ < 12 ? '2\r\nok\r\n' : '0\r\n\r\n');
          if (sent > 12) clearInterval(timer);
        }, 150);
      },
      onRequest() {},
    };
    await using client = await web();
    client.write('POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
    await client.until(() => client.reader.heads.length === 1, 3_000);
    client.write('0\r\n\r\n');
    // 1.8 s, longer than `timeouts.response`.
    const response = await client.response(6_000);
    expect(response.body.toString()).toBe('ok'.repeat(12));
  });
});

test('the sidecar is still there and counted what it was sent', async () => {
  await sleep(50);
  expect(sidecar.process.isRunning).toBe(true);
  expect(await sidecar.metric('postern_unsolicited_responses_total')).toBeGreaterThan(0);
  expect(await sidecar.metric('postern_failures_total', 'reason="upstream_malformed"')).toBeGreaterThan(40);
});

function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`;
}

const TRIES = 60;
