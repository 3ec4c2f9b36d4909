/** Keys that come over HTTPS, and time that passes: rotation, servers that fail, and what is open when a token or its key ends. */
import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { describe, expect, onTestFinished, test } from 'vitest';

import { grpcClient, startGrpcApp } from '#test/support/grpc-app.ts';
import { h2Session, h2Websocket } from '#test/support/h2-websocket.ts';
import { fieldOf, statusOf } from '#test/support/http-reader.ts';
import { say, startKeyServer, type KeyServer } from '#test/support/key-server.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import { ok, startUpstream } from '#test/support/raw-upstream.ts';
import { eventually, figure, IS_FULL, policyYaml, startSidecar, type Settings, type Sidecar } from '#test/support/sidecar.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { requestAuthentication, TokenIssuer } from '#test/support/token-issuer.ts';
import { startEchoingApp, websocket, type WebsocketClient } from '#test/support/websocket-peers.ts';

const ANYBODY = policyYaml('anybody', { action: 'ALLOW', rules: [{ from: [{ source: { requestPrincipals: ['*'] } }] }] });

interface Keys {
  readonly idp: TokenIssuer;
  readonly server: KeyServer;
}

async function keys(): Promise<Keys> {
  const idp = new TokenIssuer('https://idp.test');
  return { idp, server: keep(await startKeyServer(say(idp.jwks))) };
}

function withKeys(port: number, { idp, server }: Keys, more: { tokens?: Settings; concurrency?: number } = {}): Promise<Sidecar> {
  const { concurrency, tokens } = more;
  return startSidecar({
    mesh,
    inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${port}` }],
    policies: {
      'users.yaml': requestAuthentication({ issuer: idp.issuer, jwksUri: server.url(), timeout: '1s' }),
      'policy.yaml': ANYBODY,
    },
    spec: { tokens: { privateHosts: ['127.0.0.1'], authorities: server.authorities, ...tokens } },
    ...(concurrency === undefined ? {} : { concurrency }),
  });
}

function get(path: string, token: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer ${token}\r\n\r\n`;
}

/** `exp` of a token: whole seconds. */
function endsIn(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds;
}

describe('key sets by URL', () => {
  test.each([1, 2])(
    'are fetched before the sidecar is ready, and anew for a key that is not known (%d processes)',
    async (concurrency) => {
      const made = await keys();
      const upstream = keep(await startUpstream());
      const sidecar = keep(await withKeys(upstream.port, made, { concurrency }));
      const client = keep(await tlsClient(sidecar.inboundPort, web));
      expect(statusOf(await client.ask(get('/a', made.idp.token())))).toBe(200);
      expect(made.server.asked).toEqual(['/keys']);
      made.idp.rotate();
      made.server.answer = say(made.idp.jwks);
      const refused = await client.ask(get('/a', made.idp.token()));
      expect(fieldOf(refused.fields, 'x-postern-reason')).toBe('jwt_key_unknown');
      await eventually('the new key', async () => statusOf(await client.ask(get('/a', made.idp.token()))) === 200);
      expect(made.server.asked).toHaveLength(2);
      // All the rest is a flood of keys that nobody has.
      const flood = IS_FULL ? 10_000 : 300;
      for (let index = 0; index < flood; index++) {
        const token = made.idp.token({}, { kid: `none-${index}` });
        expect(statusOf(await client.ask(get('/a', token)))).toBe(401);
      }
      expect(made.server.asked).toHaveLength(2);
      figure(
        `${flood} tokens with keys that nobody knows, ${concurrency} process(es): ${made.server.asked.length - 1} fetches after the first`,
      );
      expect(await sidecar.metric('postern_key_set_fetched_timestamp_seconds')).toBeGreaterThan(1_700_000_000);
    },
  );

  test('that cannot be fetched refuse every token by a code of their own, and the sidecar is ready all the same', async () => {
    const made = await keys();
    made.server.answer = say('<html>', 'text/html');
    const upstream = keep(await startUpstream());
    const sidecar = keep(await withKeys(upstream.port, made));
    const client = keep(await tlsClient(sidecar.inboundPort, web));
    const refused = await client.ask(get('/a', made.idp.token()));
    expect([statusOf(refused), fieldOf(refused.fields, 'x-postern-reason')]).toEqual([401, 'jwt_no_keys']);
    expect(await sidecar.metric('postern_key_set_failed', 'key_set_type')).toBe(1);
    made.server.answer = say(made.idp.jwks);
    await eventually('the keys', async () => statusOf(await client.ask(get('/a', made.idp.token()))) === 200, 8_000);
    // From now on the last good set serves, until it is too old.
    made.server.answer = say('', 'text/plain', 500);
    expect(statusOf(await client.ask(get('/a', made.idp.token())))).toBe(200);
  });

  test('that grow too old no longer count', async () => {
    const made = await keys();
    const upstream = keep(await startUpstream());
    const sidecar = keep(await withKeys(upstream.port, made, { tokens: { keyMaxAge: '8s', keyRefresh: '1s' } }));
    const client = keep(await tlsClient(sidecar.inboundPort, web));
    expect(statusOf(await client.ask(get('/a', made.idp.token())))).toBe(200);
    made.server.answer = say('', 'text/plain', 500);
    await eventually(
      'the end of the keys',
      async () => {
        const reply = await client.ask(get('/a', made.idp.token()));
        return fieldOf(reply.fields, 'x-postern-reason') === 'jwt_keys_stale';
      },
      20_000,
    );
  });

  test('at a private address that is not named are not asked for', async () => {
    const made = await keys();
    const upstream = keep(await startUpstream());
    const sidecar = keep(await withKeys(upstream.port, made, { tokens: { privateHosts: [] } }));
    expect(await sidecar.metric('postern_key_set_failed', 'key_set_address')).toBe(1);
    expect(made.server.asked).toEqual([]);
  });
});

describe('what is open', () => {
  test.each(['HTTP/1.1', 'HTTP/2'] as const)(
    'a WebSocket over %s ends within a second of its token, and no other',
    async (protocol) => {
      const made = await keys();
      const app = keep(await startEchoingApp());
      const sidecar = keep(await withKeys(app.port, made));
      const open = async (token: string): Promise<WebsocketClient> => {
        const fields = { authorization: `Bearer ${token}` };
        if (protocol === 'HTTP/1.1') return keep(await websocket(sidecar.inboundPort, '/chat', web, { headers: fields }));
        const session = await h2Session(sidecar.inboundPort, web);
        keep({ [Symbol.asyncDispose]: async () => session.destroy() });
        return keep(await h2Websocket(session, '/chat', { ...fields, 'sec-websocket-version': '13' }));
      };
      const exp = endsIn(5);
      const short = await open(made.idp.token({ exp }));
      const long = await open(made.idp.token());
      expect(await short.echo('in')).toBe('in');
      expect(await short.over(10_000)).toMatchObject({ code: 1008 });
      const late = Date.now() / 1000 - exp;
      figure(`a WebSocket over ${protocol} ended ${late.toFixed(2)} s after its token`);
      expect(late).toBeGreaterThanOrEqual(0);
      // A second, and what a busy machine takes to tell.
      expect(late).toBeLessThan(2);
      expect(await long.echo('still')).toBe('still');
      expect(await sidecar.logged((line) => line['reason'] === 'token_expired')).toMatchObject({ path: '/chat' });
    },
  );

  test('a response over HTTP/1.1 and a gRPC call end with their token', async () => {
    const made = await keys();
    const events = keep(
      await startUpstream({
        onRequest: (connection) =>
          connection.write(ok('', 'Transfer-Encoding: chunked\r\n').replace('Content-Length: 0\r\n', '')),
      }),
    );
    const first = keep(await withKeys(events.port, made));
    const client = keep(await tlsClient(first.inboundPort, web));
    client.write(get('/events', made.idp.token({ exp: endsIn(4) })));
    await client.over(10_000);
    expect(await first.logged((line) => line['path'] === '/events')).toMatchObject({ reason: 'token_expired' });

    const app = keep(await startGrpcApp());
    const sidecar = keep(
      await startSidecar({
        mesh,
        inbound: [{ mtls: 'STRICT', protocol: 'grpc', forwardTo: `h2c://127.0.0.1:${app.port}` }],
        policies: {
          'users.yaml': requestAuthentication({ issuer: made.idp.issuer, jwks: made.idp.jwks }),
          'policy.yaml': ANYBODY,
        },
      }),
    );
    const grpc = grpcClient(sidecar.inboundPort, { mesh, account: 'web' });
    onTestFinished(() => grpc.close());
    const call = async (token: string): Promise<ServiceError> => {
      const metadata = new Metadata();
      metadata.set('authorization', `Bearer ${token}`);
      const chat = grpc.Chat(metadata);
      const { promise, resolve } = Promise.withResolvers<ServiceError>();
      chat.on('error', (error: ServiceError) => resolve(error));
      chat.on('data', () => {});
      chat.write({ payload: Buffer.from('x') });
      return promise;
    };
    expect(await call(made.idp.token({ exp: endsIn(4) }))).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(await sidecar.logged((line) => line['reason'] === 'token_expired')).toMatchObject({ grpc_status: 16 });
    expect(await call('bad')).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(await call(made.idp.token({ aud: 'x', exp: 1 }))).toMatchObject({ code: status.UNAUTHENTICATED });
  });

  test('is judged again when keys or rules change', async () => {
    const made = await keys();
    const app = keep(await startEchoingApp());
    const sidecar = keep(await withKeys(app.port, made, { tokens: { keyRefresh: '1s' } }));
    const headers = { authorization: `Bearer ${made.idp.token()}` };
    const revoked = keep(await websocket(sidecar.inboundPort, '/old', web, { headers }));
    made.idp.rotate();
    const kept = keep(await websocket(sidecar.inboundPort, '/kept', web, { headers }));
    // The old key is gone: what it signed no longer counts.
    made.idp.keys.pop();
    made.server.answer = say(made.idp.jwks);
    expect(await revoked.over(10_000)).toMatchObject({ code: 1008 });
    expect(await kept.over(10_000)).toMatchObject({ code: 1008 });
    expect(await sidecar.logged((line) => line['path'] === '/old')).toMatchObject({
      reason: 'revoked',
      response_code_details: 'postern_revoked[test/users;jwt_key_unknown]',
    });

    const fresh = { authorization: `Bearer ${made.idp.token()}` };
    const open = keep(await websocket(sidecar.inboundPort, '/new', web, { headers: fresh }));
    sidecar.put(
      'policies/users.yaml',
      requestAuthentication({ issuer: made.idp.issuer, jwksUri: made.server.url(), audiences: ['billing'] }),
    );
    expect(await open.over(10_000)).toMatchObject({ code: 1008 });
    expect(await sidecar.logged((line) => line['path'] === '/new')).toMatchObject({
      reason: 'revoked',
      response_code_details: 'postern_revoked[test/users;jwt_audience]',
    });
  });
});
