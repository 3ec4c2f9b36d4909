/** The same as envoy-ext-authz.test.ts of authorizers that speak plain HTTP, and of those that are asked about bodies. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ALL_ASKED } from '#test/support/asked-sidecar.ts';
import { startEnvoySidecar, type EnvoySidecar } from '#test/support/envoy-ext-authz.ts';
import { ALLOWED, DENIED, startExtAuthz, type ExtAuthz } from '#test/support/ext-authz.ts';
import { statusOf } from '#test/support/http-reader.ts';
import { peer } from '#test/support/peers.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import { startUpstream, type RawUpstream } from '#test/support/raw-upstream.ts';
import { startSidecar, type Settings, type Sidecar } from '#test/support/sidecar.ts';
import { mesh, web } from '#test/support/sidecar-pair.ts';

const sidecarOf = (app: RawUpstream, authorizer: Settings): Promise<Sidecar> =>
  startSidecar({
    mesh,
    inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${app.port}` }],
    policies: ALL_ASKED,
    spec: { authorizers: [{ name: 'outside', ...authorizer }] },
    policySettings: { whenNoneSelects: 'allow' },
  });

describe.skipIf(peer('envoy') === null)('Envoy with ext_authz by HTTP', { timeout: 90_000 }, () => {
  let authorizer: Server;
  let answer: (response: ServerResponse) => void = (response) => response.end();
  const asked: { request: IncomingMessage; body: string }[] = [];
  let app: RawUpstream;
  let envoy: EnvoySidecar;
  let sidecar: Sidecar;

  beforeAll(async () => {
    authorizer = createServer((request, response) => {
      let body = '';
      request.setEncoding('latin1').on('data', (text: string) => (body += text));
      request.on('end', () => {
        asked.push({ request, body });
        answer(response);
      });
    });
    authorizer.listen(0, '127.0.0.1');
    await once(authorizer, 'listening');
    const { port } = authorizer.address() as AddressInfo; // it listens on TCP
    app = await startUpstream();
    const names = (patterns: readonly object[]): object => ({ patterns });
    envoy = await startEnvoySidecar({
      app: app.port,
      authorizer: port,
      isHttp: true,
      filter: {
        http_service: {
          server_uri: { uri: `http://127.0.0.1:${port}`, cluster: 'authz', timeout: '1s' },
          path_prefix: '/check',
          authorization_request: { headers_to_add: [{ key: 'x-from', value: 'mesh' }] },
          authorization_response: {
            allowed_upstream_headers: names([{ exact: 'x-user' }, { prefix: 'x-auth-' }]),
            allowed_client_headers: names([{ exact: 'location' }, { exact: 'x-why' }, { exact: 'www-authenticate' }]),
            allowed_client_headers_on_success: names([{ exact: 'x-told' }]),
          },
        },
        allowed_headers: names([{ exact: 'authorization' }, { exact: 'cookie' }, { prefix: 'x-ask-' }]),
      },
    });
    sidecar = await sidecarOf(app, {
      envoyExtAuthzHttp: {
        service: '127.0.0.1',
        port,
        timeout: '1s',
        pathPrefix: '/check',
        includeRequestHeadersInCheck: ['authorization', 'cookie', 'x-ask-*'],
        includeAdditionalHeadersInCheck: { 'x-from': 'mesh' },
        headersToUpstreamOnAllow: ['x-user', 'x-auth-*'],
        headersToDownstreamOnAllow: ['x-told'],
        headersToDownstreamOnDeny: ['location', 'x-why', 'www-authenticate'],
      },
    });
  }, 90_000);
  afterAll(async () => {
    authorizer.closeAllConnections();
    authorizer.close();
    for (const each of [sidecar, envoy, app]) await each[Symbol.asyncDispose]();
  });

  const FIELDS =
    'Authorization: Bearer t\r\nCookie: a=b\r\nx-ask-one: 1\r\nx-ask-one: 2\r\nx-other: 3\r\nx-user: eve\r\nX-Auth-Role: root\r\n';

  async function outcome(port: number, line: string, body = ''): Promise<object> {
    app.requests.length = 0;
    asked.length = 0;
    await using client = await tlsClient(port, web);
    const length = body === '' ? '' : `Content-Length: ${body.length}\r\n`;
    const got = await client.ask(`${line}\r\nHost: app.test\r\n${FIELDS}${length}\r\n${body}`);
    const { request, body: told } = asked[0] ?? {};
    const forwarded = app.requests[0];
    return {
      status: statusOf(got),
      body: got.body.toString(),
      got: listed(got.fields, ['location', 'x-why', 'www-authenticate', 'x-told', 'x-secret']),
      line: forwarded?.startLine ?? '',
      fields: listed(forwarded?.fields ?? [], ['authorization', 'cookie', 'x-user', 'x-auth-role', 'x-auth-team', 'x-secret']),
      asked: request === undefined ? null : `${request.method} ${request.url} ${request.headers.host} ${told}`,
      askedOf: Object.entries(request?.headers ?? {})
        .filter(([name]) => /^(?:authorization|cookie|x-ask|x-other|x-user|x-auth|x-from|content-length)/u.test(name))
        .map(([name, value]) => `${name}: ${String(value).replaceAll(', ', ',')}`)
        .toSorted(),
    };
  }

  test.each([
    ['200', 200, {}],
    ['200 with headers', 200, { 'x-user': 'ann', 'x-auth-role': 'dev', 'x-auth-team': 'a', 'x-secret': 's', 'x-told': 'yes' }],
    ['401', 401, { 'www-authenticate': 'Bearer', 'x-secret': 's' }],
    ['403', 403, { 'x-why': 'no' }],
    ['302', 302, { location: 'https://login.test/' }],
    ['404', 404, {}],
    ['201', 201, {}],
  ])('%s: the same is asked, told and forwarded', async (_, status, headers) => {
    answer = (response) => response.writeHead(status, headers).end(status === 200 ? '' : 'words');
    for (const [line, body] of [
      ['GET /orders/7?q=a%20b HTTP/1.1', ''],
      ['POST /a/../b HTTP/1.1', 'hello'],
      ['DELETE /x HTTP/1.1', ''],
    ] as const) {
      const [theirs, ours] = [await outcome(envoy.port, line, body), await outcome(sidecar.inboundPort, line, body)];
      expect(unset(ours, headers)).toEqual(unset(theirs, headers));
    }
  });

  test.each([500, 503])('a failure of the authorizer (%s) is a denial of both', async (status) => {
    answer = (response) => response.writeHead(status).end();
    expect(await outcome(envoy.port, 'GET /x HTTP/1.1')).toMatchObject({ status: 403, line: '' });
    expect(await outcome(sidecar.inboundPort, 'GET /x HTTP/1.1')).toMatchObject({ status: 403, line: '' });
  });

  /** A caller's own header in a place where the authorizer says nothing: Envoy lets it through, we take it away. */
  function unset(outcome_: object, headers: object): object {
    return 'x-user' in headers ? outcome_ : { ...outcome_, fields: [] };
  }
});

describe.skipIf(peer('envoy') === null)('Envoy with ext_authz about bodies', { timeout: 90_000 }, () => {
  let authorizer: ExtAuthz;
  let app: RawUpstream;
  let envoy: EnvoySidecar;
  let sidecar: Sidecar;

  beforeAll(async () => {
    authorizer = await startExtAuthz((check) => (check.attributes.request.http.body.includes('no') ? DENIED : ALLOWED));
    app = await startUpstream();
    const service = { grpc_service: { envoy_grpc: { cluster_name: 'authz' }, timeout: '1s' } };
    envoy = await startEnvoySidecar({
      app: app.port,
      authorizer: authorizer.port,
      filter: { ...service, with_request_body: { max_request_bytes: 32 } },
    });
    const grpc = {
      service: '127.0.0.1',
      port: authorizer.port,
      timeout: '1s',
      includeRequestBodyInCheck: { maxRequestBytes: 32 },
    };
    sidecar = await sidecarOf(app, { envoyExtAuthzGrpc: grpc });
  }, 90_000);
  afterAll(async () => {
    for (const each of [sidecar, envoy, authorizer, app]) await each[Symbol.asyncDispose]();
  });

  test.each([
    ['a body', 'Content-Length: 5\r\n', 'hello', 200],
    ['one in chunks', 'Transfer-Encoding: chunked\r\n', '3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n', 200],
    ['one that is denied', 'Content-Length: 6\r\n', 'oh, no', 403],
    ['an empty one', 'Content-Length: 0\r\n', '', 200],
    ['one of UTF-8', 'Content-Length: 4\r\n', '\u00c3\u00a9\u00c3\u00a9', 200],
    ['one that is too long', 'Content-Length: 33\r\n', 'x'.repeat(33), 413],
    ['one that is just not too long', 'Content-Length: 31\r\n', 'x'.repeat(31), 200],
    ['none', '', '', 200],
  ])('is told the same of %s', async (_, fields, body, status) => {
    const outcomes = [];
    for (const port of [envoy.port, sidecar.inboundPort]) {
      authorizer.checks.length = 0;
      app.requests.length = 0;
      await using client = await tlsClient(port, web);
      const answer = await client.ask(
        `${body === '' && fields === '' ? 'GET' : 'POST'} /p HTTP/1.1\r\nHost: app.test\r\n${fields}\r\n${body}`,
      );
      const { http } = authorizer.checks[0]?.attributes.request ?? {};
      outcomes.push({
        status: statusOf(answer),
        body: app.requests[0]?.body.toString('latin1'),
        told: [http?.body, http?.size, http?.headers['content-length'], http?.headers['x-envoy-auth-partial-body']],
      });
    }
    expect(outcomes[1]).toEqual(outcomes[0]);
    expect(outcomes[0]?.status).toBe(status);
  });
});

function listed(fields: readonly (readonly [string, string])[], names: readonly string[]): readonly string[] {
  return fields
    .filter(([name]) => names.includes(name.toLowerCase()))
    .map(([name, value]) => `${name.toLowerCase()}: ${value}`)
    .toSorted();
}
