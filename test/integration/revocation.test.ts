/**
 * What is open when a policy or a bundle changes is judged again: exactly what the new one denies ends, within a second and in the words of
 * what it carries; everything else goes on and loses no byte.
 */
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { statusOf, valuesOf } from '#test/support/http-reader.ts';
import { startHeldApp, type HeldApp } from '#test/support/held-app.ts';
import { tlsClient, type RawClient } from '#test/support/raw-client.ts';
import { eventually, figure, startSidecar, type Sidecar, type SidecarOptions } from '#test/support/sidecar.ts';
import { allowing, denying, swapPolicy } from '#test/support/policy-swap.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { websocket, type WebsocketClient } from '#test/support/websocket-peers.ts';

const ALL = allowing({});

async function withApp(options: Partial<SidecarOptions> = {}): Promise<{ app: HeldApp; sidecar: Sidecar }> {
  const app = keep(await startHeldApp());
  const inbound = [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${app.port}` }];
  return { app, sidecar: keep(await startSidecar({ mesh, inbound, policies: { 'p.yaml': ALL }, ...options })) };
}

describe('WebSockets', () => {
  test('of a hundred, the seven that a policy now denies close with 1008 within a second; the others lose no frame', async () => {
    const { app, sidecar } = await withApp();
    const opened: WebsocketClient[] = [];
    for (let i = 0; i < 100; i++) opened.push(keep(await websocket(sidecar.inboundPort, `/ws/${i}`, web)));
    const closedAt = new Map<number, number>();
    for (const [i, { socket }] of opened.entries()) socket.on('close', () => closedAt.set(i, Date.now()));
    const isCut = (i: number): boolean => i % 15 === 3;
    const cut = opened.flatMap((_, i) => (isCut(i) ? [i] : []));
    expect(cut).toHaveLength(7);

    // Every one that stays sends and gets back frames all the time.
    let isOver = false;
    const echoes = opened.map(async (client, i) => {
      const hash = createHash('sha256');
      let sent = 0;
      while (!isOver && client.closed === null) {
        const bytes = randomBytes(1 + ((i * 37 + sent * 911) % 20_000));
        hash.update(bytes);
        const answer = await client.echo(bytes).catch(() => null);
        if (answer === null) break;
        if (!bytes.equals(Buffer.from(answer))) throw new Error(`frame ${sent} of ${i} differs`);
        sent++;
        await sleep(20);
      }
      return sent;
    });
    await sleep(300);
    const swappedAt = await swapPolicy(
      sidecar,
      'deny.yaml',
      denying({ to: [{ operation: { paths: cut.map((i) => `/ws/${i}`) } }] }),
    );
    await eventually('the seven to close', () => closedAt.size >= 7, 2_000);
    await sleep(1_200);
    isOver = true;
    const sent = await Promise.all(echoes);
    expect([...closedAt.keys()].sort((a, b) => a - b)).toEqual(cut);
    for (const i of cut) expect(opened[i]?.closed).toMatchObject({ code: 1008 });
    for (const [i, client] of opened.entries()) if (!isCut(i)) expect(client.closed).toBeNull();
    expect(Math.min(...sent.filter((_, i) => !isCut(i)))).toBeGreaterThan(10);
    const last = Math.max(...closedAt.values()) - swappedAt;
    figure(
      `WebSockets revoked: 7 of 100, the last ${last} ms after the swap was seen; frames echoed ${sent.reduce((a, b) => a + b, 0)}`,
    );
    expect(last).toBeLessThan(1_000);

    const { revision } = await sidecar.adminRecord('/policy');
    for (const i of cut) {
      const line = await sidecar.logged((each) => each['path'] === `/ws/${i}`);
      expect(line).toMatchObject({
        response_code: 101,
        reason: 'revoked',
        verdict: 'denied',
        decision: 'deny',
        policy: 'test/closed',
        policy_revision: revision,
      });
    }
    // The app heard of it in the same words.
    await eventually('the app to see seven ends', () => app.broken.length === 7);
    expect(app.broken.every((each) => each.endsWith(' 1008'))).toBe(true);
    expect(await sidecar.metric('postern_rejudged_total')).toBe(100);
    expect(await sidecar.metric('postern_revoked_total')).toBe(7);
  }, 120_000);

  test('a policy that reads a header which none read before still judges by it', async () => {
    const { sidecar } = await withApp();
    await using red = await websocket(sidecar.inboundPort, '/ws/red', web, { headers: { 'x-team': 'red' } });
    await using blue = await websocket(sidecar.inboundPort, '/ws/blue', web, { headers: { 'x-team': 'blue' } });
    await swapPolicy(sidecar, 'p.yaml', allowing({ when: [{ key: 'request.headers[x-team]', values: ['blue'] }] }));
    expect(await red.over(2_000)).toMatchObject({ code: 1008 });
    expect(await blue.echo('still')).toBe('still');
  });

  test('is judged once for each swap, and keeps the revision it began with', async () => {
    const { sidecar } = await withApp();
    const { revision } = await sidecar.adminRecord('/policy');
    await using client = await websocket(sidecar.inboundPort, '/ws/kept', web);
    await swapPolicy(sidecar, 'more.yaml', denying({ to: [{ operation: { paths: ['/other'] } }] }));
    await sleep(1_500);
    expect(await sidecar.metric('postern_rejudged_total')).toBe(1);
    await swapPolicy(sidecar, 'more.yaml', denying({ to: [{ operation: { paths: ['/another'] } }] }));
    await sleep(600);
    expect(await sidecar.metric('postern_rejudged_total')).toBe(2);
    expect(await client.echo('x')).toBe('x');
    client.socket.close();
    await client.over();
    expect(await sidecar.logged((each) => each['path'] === '/ws/kept')).toMatchObject({
      policy_revision: revision,
      reason: null,
    });
  });
});

describe('HTTP/1.1', () => {
  test('a stream of events ends without its last chunk, and another one goes on', async () => {
    const { app, sidecar } = await withApp();
    await using cut = await streaming(sidecar, '/stream/cut');
    await using kept = await streaming(sidecar, '/stream/kept');
    await swapPolicy(sidecar, 'deny.yaml', denying({ to: [{ operation: { paths: ['/stream/cut'] } }] }));
    await cut.over(1_500);
    expect(cut.reader.messages).toHaveLength(0);
    expect(cut.reader.isWithin).toBe(true);
    expect(await sidecar.logged((each) => each['path'] === '/stream/cut')).toMatchObject({
      reason: 'revoked',
      response_code: 200,
      policy: 'test/closed',
      response_flags: 'RBAC',
    });
    await eventually('the app to see it', () => app.broken.includes('/stream/cut'));
    const { bodyBytes } = kept.reader;
    await kept.until(() => kept.reader.bodyBytes > bodyBytes + 100, 2_000);
    expect(kept.isOver).toBe(false);
  });

  test('what was not answered yet gets 403, and its connection serves on', async () => {
    const { app, sidecar } = await withApp();
    await using client = await tlsClient(sidecar.inboundPort, web);
    client.reader.expect('GET');
    client.write('GET /wait/1 HTTP/1.1\r\nHost: a\r\n\r\n');
    await using upload = await tlsClient(sidecar.inboundPort, web);
    upload.reader.expect('POST');
    upload.write('POST /upload/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\npart');
    await sleep(300);
    await swapPolicy(sidecar, 'deny.yaml', denying({ to: [{ operation: { paths: ['/wait/*', '/upload/*'] } }] }));
    for (const each of [client, upload]) {
      const response = await each.response(1_500);
      expect([statusOf(response), ...valuesOf(response.fields, 'x-postern-reason')]).toEqual([403, 'revoked']);
    }
    await upload.over(3_000);
    expect(statusOf(await client.ask('GET /next HTTP/1.1\r\nHost: a\r\n\r\n'))).toBe(200);
    await eventually('the app to see both', () => app.broken.includes('/wait/1') && app.broken.includes('/upload/1'));
  });
});

describe('proofs', () => {
  test('a caller whose SVID runs out while it is connected is cut off, a WebSocket with 1008', async () => {
    const { sidecar } = await withApp();
    const short = { mesh, svid: mesh.fresh('brief', 4_000) };
    await using socket = await websocket(sidecar.inboundPort, '/ws/brief', short);
    await using client = await tlsClient(sidecar.inboundPort, short);
    await using other = await websocket(sidecar.inboundPort, '/ws/long', web);
    expect(await socket.echo('in time')).toBe('in time');
    expect(await socket.over(6_000)).toMatchObject({ code: 1008 });
    await client.over(2_000);
    expect(await sidecar.logged((each) => each['path'] === '/ws/brief')).toMatchObject({ reason: 'svid_expired' });
    expect(await other.echo('still')).toBe('still');
  });

  test('callers whose root leaves the bundle are cut off, and others go on', async () => {
    const foreign = new MeshIdentities('other.test');
    const { sidecar } = await withApp({ otherBundles: [foreign], policies: null });
    await using cut = await websocket(sidecar.inboundPort, '/ws/cut', { mesh, svid: foreign.svid('web') });
    await using kept = await websocket(sidecar.inboundPort, '/ws/kept', web);
    expect(await cut.echo('in')).toBe('in');
    sidecar.put('other.test.pem', new MeshIdentities('other.test').bundlePem);
    expect(await cut.over(15_000)).toMatchObject({ code: 1008 });
    expect(await kept.echo('still')).toBe('still');
    expect(await sidecar.logged((each) => each['path'] === '/ws/cut')).toMatchObject({
      reason: 'svid_expired',
      response_code: 101,
    });
  });
});

async function streaming(sidecar: Sidecar, path: string): Promise<RawClient> {
  const client = await tlsClient(sidecar.inboundPort, web);
  client.reader.expect('GET');
  client.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await client.until(() => client.reader.bodyBytes > 50, 5_000);
  return client;
}
