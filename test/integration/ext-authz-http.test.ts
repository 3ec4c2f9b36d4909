/** An external authorizer that speaks plain HTTP, through a real sidecar: what it is sent and what its answers do. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import { expect, onTestFinished, test } from 'vitest';

import { POLICIES } from '#test/support/asked-sidecar.ts';
import { fieldOf, statusOf, valuesOf } from '#test/support/http-reader.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import { startUpstream } from '#test/support/raw-upstream.ts';
import { startSidecar, type Settings } from '#test/support/sidecar.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';

async function start(answer: (request: IncomingMessage, response: ServerResponse) => void, settings: Settings = {}) {
  const asked: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    asked.push(request);
    answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const upstream = keep(await startUpstream());
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const http = { service: '127.0.0.1', port, timeout: '1s', ...settings };
  const sidecar = keep(
    await startSidecar({
      mesh,
      inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }],
      policies: POLICIES,
      spec: { authorizers: [{ name: 'outside', envoyExtAuthzHttp: http }] },
    }),
  );
  return { asked, upstream, sidecar, client: keep(await tlsClient(sidecar.inboundPort, web)) };
}

const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n${fields}\r\n`;

test('is sent method, host, path and what is configured; over one kept connection', async () => {
  const { asked, client } = await start((_, response) => response.end(), {
    pathPrefix: '/check',
    includeRequestHeadersInCheck: ['x-*', 'cookie'],
    includeAdditionalHeadersInCheck: { 'x-from': 'postern' },
  });
  const fields = 'Authorization: Bearer t\r\nCookie: a=b\r\nX-One: 1\r\nX-From: me\r\nAccept: text/html\r\n';
  for (let i = 0; i < 3; i++) expect(statusOf(await client.ask(get('/asked/a?b=c', fields)))).toBe(200);
  const [first] = asked;
  expect([first?.method, first?.url]).toEqual(['GET', '/check/asked/a?b=c']);
  expect(first?.headers).toMatchObject({
    host: 'app.test',
    authorization: 'Bearer t',
    cookie: 'a=b',
    'x-one': '1',
    'x-from': 'postern',
  });
  expect(first?.headers).not.toHaveProperty('accept');
  expect(first?.headers['x-forwarded-client-cert']).toContain('URI=spiffe://cluster.local/ns/test/sa/web');
  expect(new Set(asked.map(({ socket }) => socket.remotePort)).size).toBe(1);
});

test('200 allows, with the headers that are configured in place of the caller’s', async () => {
  const headers = { 'X-User': 'ann', 'x-other': 'no', 'x-response': 'yes', 'x-envoy-auth-headers-to-remove': 'x-gone, host' };
  const { client, upstream } = await start((_, response) => response.writeHead(200, headers).end('ignored'), {
    headersToUpstreamOnAllow: ['x-user', 'x-team', 'authorization', 'x-forwarded-*'],
    headersToDownstreamOnAllow: ['x-resp*'],
  });
  const answer = await client.ask(get('/asked/a', 'x_user: eve\r\nX-Team: root\r\nX-Gone: 1\r\nAuthorization: Bearer t\r\n'));
  expect([statusOf(answer), fieldOf(answer.fields, 'x-response'), answer.body.toString()]).toEqual([200, 'yes', 'plain']);
  const fields = upstream.requests[0]?.fields ?? [];
  expect(valuesOf(fields, 'x-user')).toEqual(['ann']);
  for (const name of ['x_user', 'x-team', 'x-gone', 'x-other']) expect(valuesOf(fields, name)).toEqual([]);
  expect(valuesOf(fields, 'authorization')).toEqual(['Bearer t']);
});

test.each([
  { status: 401, wanted: 401, code: 'denied_by_provider' },
  { status: 302, wanted: 302, code: 'denied_by_provider' },
  { status: 201, wanted: 201, code: 'denied_by_provider' },
  { status: 204, wanted: 204, code: 'denied_by_provider' },
  { status: 500, wanted: 403, code: 'provider_error' },
  { status: 503, wanted: 403, code: 'provider_error' },
])('$status denies with $wanted', async ({ status, wanted, code }) => {
  const { client, sidecar, upstream } = await start((_, response) =>
    response
      .writeHead(status, { location: 'https://login.test/', 'x-postern-reason': 'me', 'set-cookie': 's=1' })
      .end(status === 204 ? '' : 'go'),
  );
  const answer = await client.ask(get('/asked/a'));
  expect(statusOf(answer)).toBe(wanted);
  expect(fieldOf(answer.fields, 'location')).toBe(code === 'provider_error' ? null : 'https://login.test/');
  expect(valuesOf(answer.fields, 'x-postern-reason')).toEqual(['denied_by_policy']);
  expect(upstream.bytes).toBe(0);
  expect(await sidecar.logged(({ path }) => path === '/asked/a')).toMatchObject({ decision_code: code, response_code: wanted });
  expect(statusOf(await client.ask(get('/free')))).toBe(200);
});

test('a body is sent when it is asked for', async () => {
  const bodies: string[] = [];
  const { client, upstream } = await start(
    (request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text: string) => (body += text));
      request.on('end', () => {
        bodies.push(body);
        response.end();
      });
    },
    { includeRequestBodyInCheck: { maxRequestBytes: '1KiB' } },
  );
  const post = 'POST /asked/p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\n yo\r\n0\r\n\r\n';
  expect(statusOf(await client.ask(post))).toBe(200);
  expect(bodies).toEqual(['hello yo']);
  expect(upstream.requests[0]?.body.toString()).toBe('hello yo');
});

test('a connection that the authorizer closed in the meantime costs no request', async () => {
  const { client } = await start((_, response) => response.end());
  for (let i = 0; i < 5; i++) {
    expect(statusOf(await client.ask('POST /asked/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n'))).toBe(200);
  }
});
