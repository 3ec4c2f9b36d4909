/** WebSockets where either side speaks HTTP/2 (RFC 8441): same judgement, same bytes, same ends as over HTTP/1.1. */
import { createHash, randomBytes } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { h2Session, h2Websocket, startH2EchoingApp } from '#test/support/h2-websocket.ts';
import { eventually, policyYaml, startSidecar, type Sidecar, type SidecarOptions } from '#test/support/sidecar.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { startEchoingApp, websocket, type WebsocketClient } from '#test/support/websocket-peers.ts';

const POLICY = policyYaml('chat', {
  action: 'ALLOW',
  rules: [{ to: [{ operation: { methods: ['GET'], paths: ['/chat*', '/refuse'] } }] }],
});

type Bridge = 'h2 -> h1' | 'h1 -> h2' | 'h2 -> h2';

async function bridge(
  kind: Bridge,
  options: Partial<SidecarOptions> = {},
): Promise<{ sidecar: Sidecar; asked: () => readonly string[]; codes: readonly number[] }> {
  const isToH2 = kind.endsWith('h2');
  const app = keep(isToH2 ? await startH2EchoingApp() : await startEchoingApp());
  const inbound = [{ mtls: 'STRICT', forwardTo: `${isToH2 ? 'h2c://' : ''}127.0.0.1:${app.port}` }];
  const sidecar = keep(await startSidecar({ mesh, inbound, policies: { 'p.yaml': POLICY }, ...options }));
  return { sidecar, asked: () => ('asked' in app ? app.asked : []), codes: 'codes' in app ? app.codes : [] };
}

async function open(
  kind: Bridge,
  sidecar: Sidecar,
  path: string,
  fields?: Readonly<Record<string, string>>,
): Promise<WebsocketClient> {
  if (kind.startsWith('h1')) return keep(await websocket(sidecar.inboundPort, path, web));
  const session = await h2Session(sidecar.inboundPort, web);
  keep({ [Symbol.asyncDispose]: async () => session.destroy() });
  return keep(await h2Websocket(session, path, fields));
}

describe.each(['h2 -> h1', 'h1 -> h2', 'h2 -> h2'] as const)('%s', (kind) => {
  test('carries frames of every size both ways, and ends in both directions', async () => {
    const { sidecar, asked } = await bridge(kind);
    const client = await open(kind, sidecar, '/chat?x=1');
    expect(await client.echo('hello')).toBe('hello');
    for (const size of [1, 126, 65_536, 1_048_576, 3_000_000]) {
      const bytes = randomBytes(size);
      expect(sha(await client.echo(bytes))).toBe(sha(bytes));
    }
    client.socket.close(4001, 'enough');
    expect(await client.over()).toEqual({ code: 4001, reason: 'enough' });
    expect(await sidecar.logged((each) => each['path'] === '/chat')).toMatchObject({
      method: 'GET',
      response_code: kind.startsWith('h2') ? 200 : 101,
      protocol: kind.startsWith('h2') ? 'HTTP/2' : 'HTTP/1.1',
      reason: null,
      decision: 'allow',
    });
    if (kind.endsWith('h2')) expect(asked()).toEqual(['CONNECT websocket /chat?x=1 13']);
  });

  test('is judged as GET with its path', async () => {
    const { sidecar, asked } = await bridge(kind);
    await expect(open(kind, sidecar, '/admin')).rejects.toThrow('refused with 403');
    expect(asked()).toEqual([]);
    expect(await sidecar.logged((each) => each['path'] === '/admin')).toMatchObject({
      method: 'GET',
      reason: 'denied_by_policy',
    });
  });

  test('ends with 1008 when the policy flips', async () => {
    const { sidecar, codes } = await bridge(kind);
    const client = await open(kind, sidecar, '/chat/cut');
    const kept = await open(kind, sidecar, '/chat/kept');
    expect(await client.echo('in')).toBe('in');
    sidecar.put(
      'policies/d.yaml',
      policyYaml('closed', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/chat/cut'] } }] }] }),
    );
    expect(await client.over(10_000)).toMatchObject({ code: 1008 });
    expect(await kept.echo('still')).toBe('still');
    expect(await sidecar.logged((each) => each['path'] === '/chat/cut')).toMatchObject({
      reason: 'revoked',
      policy: 'test/closed',
    });
    if (kind.endsWith('h2')) await eventually('the app to hear of it', () => codes.includes(1008));
  });
});

test.each(['h1 -> h2', 'h2 -> h2'] as const)('%s: a refusal of the app is an ordinary response', async (kind) => {
  const { sidecar } = await bridge(kind);
  await expect(open(kind, sidecar, '/refuse')).rejects.toThrow('refused with 403');
  expect(await sidecar.logged((each) => each['path'] === '/refuse')).toMatchObject({ response_code: 403, reason: null });
});

test('an app that takes no extended CONNECT gets no stream', async () => {
  const app = keep(await startH2EchoingApp(false));
  const inbound = [{ mtls: 'STRICT', forwardTo: `h2c://127.0.0.1:${app.port}` }];
  const sidecar = keep(await startSidecar({ mesh, inbound }));
  await expect(websocket(sidecar.inboundPort, '/x', web)).rejects.toThrow('refused with 501');
  expect(app.asked).toEqual([]);
  expect(await sidecar.logged((each) => each['path'] === '/x')).toMatchObject({ reason: 'upstream_no_tunnel' });
});

test('a bad version over HTTP/2 is 426', async () => {
  const { sidecar } = await bridge('h2 -> h1');
  await expect(open('h2 -> h1', sidecar, '/chat', { 'sec-websocket-version': '8' })).rejects.toThrow('refused with 426');
});

test('an app over HTTP/1.1 that does not switch opens no tunnel for a caller over HTTP/2', async () => {
  const app = keep(await startEchoingApp({ verifyClient: (_info, answer) => answer(false, 204) }));
  const sidecar = keep(await startSidecar({ mesh, inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${app.port}` }] }));
  await expect(open('h2 -> h1', sidecar, '/x')).rejects.toThrow('refused with 502');
});

function sha(bytes: string | Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
