/**
 * A policy of OPA's in a real sidecar: bundles that the real OPA has built, from a file and from a server, decide requests; what harms
 * the evaluation denies in time.
 */
import { generateKeyPairSync } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, onTestFinished, test } from 'vitest';

import { h2Session, h2Websocket } from '#test/support/h2-websocket.ts';
import { fieldOf, statusOf } from '#test/support/http-reader.ts';
import { linesOf, OpaBundles, replaceBundle, startOpa } from '#test/support/opa-bundles.ts';
import { peer } from '#test/support/peers.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import type { RawUpstream } from '#test/support/raw-upstream.ts';
import { eventually, figure, type Settings, type Sidecar } from '#test/support/sidecar.ts';
import { keep, web } from '#test/support/sidecar-pair.ts';
import { startEchoingApp, websocket } from '#test/support/websocket-peers.ts';

const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n${fields}\r\n`;
const post = (body: string, fields = 'Content-Type: application/json\r\n'): string =>
  `POST /items HTTP/1.1\r\nHost: app.test\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;

describe.skipIf(peer('opa') === null)('a policy of OPA', () => {
  const bundles = (kind: 'wasm' | 'plan' = 'wasm'): OpaBundles => {
    const made = new OpaBundles(kind);
    onTestFinished(() => made[Symbol.dispose]());
    return made;
  };

  test.each(['wasm', 'plan'] as const)('decides requests as opa-envoy-plugin does, from a bundle of kind %s', async (kind) => {
    const { sidecar, upstream } = await start(bundles(kind).build('r1'));
    await using client = await tlsClient(sidecar.inboundPort, web);
    const allowed = await client.ask(get('/items/7?x=1', 'X-Item: forged\r\nX_Revision: forged\r\nX-Secret: s\r\n'));
    expect([statusOf(allowed), fieldOf(allowed.fields, 'x-answered-by')]).toEqual([200, 'opa']);
    const fields = upstream.requests[0]?.fields.map(([name, value]) => `${name.toLowerCase()}: ${value}`) ?? [];
    expect(fields.filter((line) => /^x[-_](?:item|revision|secret)/u.test(line)).toSorted()).toEqual([
      'x-item: 7',
      'x-revision: r1',
    ]);

    expect(statusOf(await client.ask(get('/other')))).toBe(403);
    const who = await client.ask(get('/who'));
    expect([statusOf(who), fieldOf(who.fields, 'www-authenticate'), who.body.toString()]).toEqual([401, 'Bearer', 'who are you']);
    expect(statusOf(await client.ask(get('/items/7?a;b')))).toBe(400);
    expect(upstream.requests).toHaveLength(1);
    const code = async (path: string): Promise<unknown> =>
      (await sidecar.logged((line) => line['path'] === path))['decision_code'];
    expect([await code('/other'), await code('/who')]).toEqual(['denied_by_provider', 'denied_by_provider']);
  });

  test('is asked about bodies when that is said', async () => {
    const { sidecar, upstream } = await start(bundles().build('r1'), { includeRequestBodyInCheck: { maxRequestBytes: 100 } });
    await using client = await tlsClient(sidecar.inboundPort, web);
    const statuses = [];
    for (const body of ['{"amount":99}', '{"amount":100}', '{"amount":1,"amount":1}', `{"amount":1,"x":"${'y'.repeat(100)}"}`]) {
      await using one = await tlsClient(sidecar.inboundPort, web);
      statuses.push(statusOf(await one.ask(post(body))));
    }
    expect(statuses).toEqual([200, 403, 400, 413]);
    expect(statusOf(await client.ask(post('amount=1', '')))).toBe(403);
    expect(upstream.requests.map(({ body }) => body.toString())).toEqual(['{"amount":99}']);
  });

  test.each([
    { path: '/odd', codes: ['opa_result_type'] },
    { path: '/conflict', codes: ['opa_conflict'] },
    { path: '/loop', codes: ['opa_fuel'] },
    { path: '/memory', codes: ['opa_fuel', 'opa_memory'] },
    { path: '/range', codes: ['opa_fuel', 'opa_memory'] },
  ])('$path is a denial with a code of its own, and the next request is answered', async ({ codes, path }) => {
    const { sidecar, upstream } = await start(bundles().build('r1'), { timeout: '10s', fuel: 200_000_000 });
    await using client = await tlsClient(sidecar.inboundPort, web);
    expect(statusOf(await client.ask(get(path)))).toBe(403);
    expect(statusOf(await client.ask(get('/items/1')))).toBe(200);
    expect(upstream.requests).toHaveLength(1);
    const { decision, decision_code: code } = await sidecar.logged((line) => line['path'] === path);
    expect(decision).toBe('deny');
    expect(codes).toContain(code);
  });

  test('a rule without a result denies with opa_undefined, with the status that is configured', async () => {
    const { sidecar } = await start(bundles().build('r1'), { entrypoint: 'envoy/authz/rare', statusOnError: 503 });
    await using client = await tlsClient(sidecar.inboundPort, web);
    expect(statusOf(await client.ask(get('/rare')))).toBe(200);
    expect(statusOf(await client.ask(get('/items/1')))).toBe(503);
    expect(await sidecar.logged((line) => line['path'] === '/items/1')).toMatchObject({ decision_code: 'opa_undefined' });
  });

  test('a bundle file that is replaced takes effect, one that is broken does not, and both are told in the status log', async () => {
    const made = bundles();
    const { sidecar, upstream } = await start(made.build('r1'), { statusLog: 'status.log', decisionLog: 'decisions.log' });
    await using client = await tlsClient(sidecar.inboundPort, web);
    const revision = async (): Promise<string> => {
      expect(statusOf(await client.ask(get('/items/1', 'Authorization: Bearer secret\r\n')))).toBe(200);
      return upstream.requests.at(-1)?.fields.find(([name]) => name === 'x-revision')?.[1] ?? '';
    };
    expect(await revision()).toBe('r1');
    replaceBundle(sidecar, made.build('r2'));
    await eventually('the new revision', async () => (await revision()) === 'r2');
    replaceBundle(sidecar, Buffer.from('no archive'));
    await eventually('the refusal', async () => (await sidecar.metric('postern_opa_bundle_refusals_total')) > 0);
    expect(await revision()).toBe('r2');
    const [state] = (await sidecar.admin('/authorizers')) as readonly { policy: Settings }[]; // what the interface answers
    expect(state).toMatchObject({ name: 'rules', waiting: 0, policy: { revision: 'r2', refused: 1 } });
    expect(state?.policy['refusal']).toMatch(/^opa_bundle_archive /u);
    await eventually('two activations and a refusal', () => linesOf(sidecar, 'status.log').length >= 3);
    const states = linesOf(sidecar, 'status.log').map((line) => line['bundles'] as Readonly<Record<string, Settings>>); // as OPA has it
    expect(states.map(({ rules }) => rules?.['active_revision'])).toEqual(['r1', 'r2', 'r2']);
    expect(states.at(-1)?.['rules']).toMatchObject({ code: 'bundle_error' });

    await eventually('the decision log', () => linesOf(sidecar, 'decisions.log').length > 2);
    const [event] = linesOf(sidecar, 'decisions.log');
    expect(event).toMatchObject({
      labels: { id: 'test/app' },
      bundles: { rules: { revision: 'r1' } },
      path: 'envoy/authz/allow',
      result: { allowed: true },
      requested_by: '127.0.0.1',
      erased: ['/input/attributes/request/http/headers/authorization'],
    });
    expect(JSON.stringify(event)).not.toContain('Bearer secret');
    expect((await sidecar.logged((line) => line['decision_id'] === event?.['decision_id']))['path']).toBe('/items/1');
  });

  test('is asked again about what is open when its bundle is replaced, and what it no longer allows ends', async () => {
    const made = bundles();
    const app = keep(await startEchoingApp());
    const { sidecar } = await start(made.build('r1'), {}, { inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${app.port}` }] });
    const [seven, eight] = [
      keep(await websocket(sidecar.inboundPort, '/items/7', web)),
      keep(await h2Session(sidecar.inboundPort, web).then((session) => h2Websocket(session, '/items/8'))),
    ];
    replaceBundle(sidecar, made.build('r2'));
    await eventually('the new bundle', async () => (await sidecar.metric('postern_rejudged_total')) >= 2);
    await sleep(1_200);
    for (const each of [seven, eight]) {
      each.socket.send('still here');
      expect((await each.next()).data.toString()).toBe('still here');
    }
    const begunMs = performance.now();
    replaceBundle(sidecar, made.build('r3', [], ['7']));
    await eventually('the end', () => seven.closed !== null);
    figure(`a WebSocket that a replaced bundle no longer allows ended after ${(performance.now() - begunMs).toFixed(0)} ms`);
    expect(seven.closed?.code).toBe(1008);
    eight.socket.send('still here');
    expect((await eight.next()).data.toString()).toBe('still here');
    expect(await sidecar.logged((line) => line['path'] === '/items/7')).toMatchObject({
      reason: 'revoked',
      decision_code: 'denied_by_provider',
    });
  });

  test('without a bundle nothing is ready and everything is denied', async () => {
    const { sidecar, upstream } = await start(null, {}, { awaitsReady: false });
    await sidecar.statusOpen();
    await eventually('the listener', async () => (await tlsClient(sidecar.inboundPort, web).catch(() => null)) !== null, 20_000);
    await using client = await tlsClient(sidecar.inboundPort, web);
    expect(statusOf(await client.ask(get('/items/1')))).toBe(403);
    expect(upstream.requests).toHaveLength(0);
    expect(await sidecar.status('/healthz/ready')).toMatchObject({ code: 503 });
    replaceBundle(sidecar, bundles().build('late'));
    await sidecar.ready();
    expect(statusOf(await client.ask(get('/items/1')))).toBe(200);
  });
});

describe.skipIf(peer('opa') === null)('a bundle of a server', () => {
  test('is verified, kept, polled with its ETag, and replaced only by one that is signed as well', async () => {
    using made = new OpaBundles();
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const signed = (revision: string, key: typeof privateKey): Buffer => {
      const file = join(made.root, 'key.pem');
      writeFileSync(file, key.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
      return made.build(revision, ['--signing-alg', 'ES256', '--signing-key', file]);
    };
    await using server = await serveBundles();
    server.archive = signed('r1', privateKey);
    const pem = publicKey.export({ format: 'pem', type: 'spki' }).toString();
    const settings = {
      bundle: { url: server.url, longPoll: '5s', interval: '100ms', cache: 'cache/bundle', tokenFile: 'token' },
      verification: { keyFile: 'key.pub', algorithm: 'ES256' },
    };
    const files = { 'key.pub': pem, token: 'abc\n' };
    const { sidecar, upstream } = await start(null, settings, {}, files);
    await using client = await tlsClient(sidecar.inboundPort, web);
    const revision = async (): Promise<string> => {
      expect(statusOf(await client.ask(get('/items/1')))).toBe(200);
      return upstream.requests.at(-1)?.fields.find(([name]) => name === 'x-revision')?.[1] ?? '';
    };
    expect(await revision()).toBe('r1');
    expect(server.seen[0]).toMatchObject({ authorization: 'Bearer abc' });
    await eventually('a long poll', () => server.seen.some((headers) => String(headers['prefer']).includes('wait=5')));
    expect(server.seen.at(-1)).toMatchObject({ 'if-none-match': '"1"' });

    const begunMs = performance.now();
    server.put(signed('r2', privateKey));
    await eventually('the new revision', async () => (await revision()) === 'r2', 2_000);
    expect(performance.now() - begunMs).toBeLessThan(1_500);
    server.put(signed('forged', foreign.privateKey));
    await eventually('the refusal', async () => (await sidecar.metric('postern_opa_bundle_refusals_total')) > 0);
    await sleep(300);
    expect(await revision()).toBe('r2');
    server.status = 500;
    await sleep(300);
    expect(await revision()).toBe('r2');

    // Another sidecar of the same cache starts without the server.
    const cache = readFileSync(sidecar.path('cache/bundle'));
    const again = await start(null, settings, {}, { ...files, 'cache/bundle': cache });
    await using second = await tlsClient(again.sidecar.inboundPort, web);
    expect(statusOf(await second.ask(get('/items/1')))).toBe(200);
    expect(again.upstream.requests.at(-1)?.fields.find(([name]) => name === 'x-revision')?.[1]).toBe('r2');
  });
});

/** With a bundle file, or without. */
function start(
  archive: Buffer | null,
  opa: Settings = {},
  more: Parameters<typeof startOpa>[2] = {},
  files: Readonly<Record<string, string | Buffer>> = {},
): Promise<{ sidecar: Sidecar; upstream: RawUpstream }> {
  return startOpa(opa, { ...files, ...(archive === null ? {} : { 'bundle.tar.gz': archive }) }, more);
}

/** A server of OPA's bundle API, with a long poll. */
class BundleServer implements AsyncDisposable {
  readonly seen: IncomingMessage['headers'][] = [];
  archive: Buffer = Buffer.alloc(0);
  status = 200;
  #etag = 1;
  #held: (() => void)[] = [];
  readonly #server = createServer((request, response) => this.#serve(request, response));

  async listen(): Promise<void> {
    await new Promise<void>((ready) => this.#server.listen(0, '127.0.0.1', ready));
  }

  get url(): string {
    // A server of TCP has such an address.
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/bundles/rules`;
  }

  put(archive: Buffer): void {
    this.archive = archive;
    this.#etag++;
    for (const release of this.#held.splice(0)) release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    this.seen.push(request.headers);
    const answer = (): void => {
      const type = 'application/vnd.openpolicyagent.bundles';
      if (this.status !== 200) response.writeHead(this.status).end();
      else if (request.headers['if-none-match'] === `"${this.#etag}"`) response.writeHead(304, { 'content-type': type }).end();
      else response.writeHead(200, { etag: `"${this.#etag}"`, 'content-type': type }).end(this.archive);
    };
    const waits = String(request.headers['prefer']).includes('wait=');
    if (!waits || request.headers['if-none-match'] !== `"${this.#etag}"`) return answer();
    const timer = setTimeout(() => this.#held.forEach((release) => release()), 5_000);
    this.#held.push(() => {
      clearTimeout(timer);
      answer();
    });
  }
}

async function serveBundles(): Promise<BundleServer> {
  const server = new BundleServer();
  await server.listen();
  return server;
}
