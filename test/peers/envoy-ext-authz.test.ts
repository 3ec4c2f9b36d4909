/**
 * A real Envoy with ext_authz beside ours: the same requests, the same authorizer, the same application behind. The questions, the
 * statuses and what reaches the application are compared; where we are stricter, both are said.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ALL_ASKED } from '#test/support/asked-sidecar.ts';
import { startEnvoySidecar, type EnvoySidecar } from '#test/support/envoy-ext-authz.ts';
import { ALLOWED, allowedWith, DENIED, deniedWith, startExtAuthz, type Check, type ExtAuthz } from '#test/support/ext-authz.ts';
import { h2TlsClient, head } from '#test/support/h2-client.ts';
import { statusOf } from '#test/support/http-reader.ts';
import { peer } from '#test/support/peers.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import { startUpstream, type RawUpstream } from '#test/support/raw-upstream.ts';
import { startSidecar, type Sidecar } from '#test/support/sidecar.ts';
import { mesh, web } from '#test/support/sidecar-pair.ts';

describe.skipIf(peer('envoy') === null)('Envoy with ext_authz by gRPC', { timeout: 90_000 }, () => {
  let authorizer: ExtAuthz;
  let app: RawUpstream;
  let envoy: EnvoySidecar;
  let sidecar: Sidecar;
  const ports = (): readonly number[] => [envoy.port, sidecar.inboundPort];

  beforeAll(async () => {
    authorizer = await startExtAuthz(() => ALLOWED);
    app = await startUpstream();
    envoy = await startEnvoySidecar({
      app: app.port,
      authorizer: authorizer.port,
      filter: { grpc_service: { envoy_grpc: { cluster_name: 'authz' }, timeout: '1s' } },
    });
    sidecar = await startSidecar({
      mesh,
      inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${app.port}` }],
      policies: ALL_ASKED,
      spec: {
        authorizers: [{ name: 'outside', envoyExtAuthzGrpc: { service: '127.0.0.1', port: authorizer.port, timeout: '1s' } }],
      },
      policySettings: { whenNoneSelects: 'allow' },
    });
  }, 90_000);
  afterAll(async () => {
    for (const each of [sidecar, envoy, authorizer, app]) await each[Symbol.asyncDispose]();
  });

  /** What came of one request: the status, what the caller got, and what the application did. */
  async function outcome(port: number, request: string): Promise<Outcome> {
    app.requests.length = 0;
    authorizer.checks.length = 0;
    await using client = await tlsClient(port, web);
    const answer = await client.ask(request);
    const forwarded = app.requests[0];
    return {
      status: statusOf(answer),
      told: told(answer.fields),
      line: forwarded?.startLine ?? '',
      fields: told(forwarded?.fields ?? []),
      check: authorizer.checks[0],
    };
  }

  test.each([
    ['GET /orders/7?q=a%20b&z=1 HTTP/1.1', 'X-A: 1\r\nX-A: 2\r\nCookie: a=1; b=2\r\nUser-Agent: test\r\n', ''],
    ['GET /a/./b/../c%2fd//e;x?y HTTP/1.1', '', ''],
    ['GET /%7euser/%41?%41 HTTP/1.1', 'x-under_score: 1\r\n', ''],
    ['HEAD /h HTTP/1.1', 'Accept: */*\r\n', ''],
    ['OPTIONS /o HTTP/1.1', 'Authorization: Bearer x\r\n', ''],
    ['POST /p HTTP/1.1', 'Content-Type: text/plain\r\nContent-Length: 5\r\n', 'hello'],
    ['POST /c HTTP/1.1', 'Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n'],
    ['PUT /empty HTTP/1.1', 'Content-Length: 0\r\n', ''],
    ['GET /utf8 HTTP/1.1', 'x-name: J\u00c3\u00bcrgen\r\nx-bytes: \u00ff\u00fe\r\n', ''],
  ])('is asked the same of %s', async (line, fields, body) => {
    authorizer.answer = () => ALLOWED;
    const request = `${line}\r\nHost: App.test\r\n${fields}\r\n${body}`;
    const [theirs, ours] = [await outcome(envoy.port, request), await outcome(sidecar.inboundPort, request)];
    expect(comparable(ours.check)).toEqual(comparable(theirs.check));
    expect(ours).toMatchObject({ status: theirs.status, fields: theirs.fields });
  });

  test('is asked the same of a request over HTTP/2', async () => {
    authorizer.answer = () => ALLOWED;
    const checks = [];
    for (const port of ports()) {
      authorizer.checks.length = 0;
      await using client = await h2TlsClient(port, web);
      const answer = await client.ask(
        head('GET', '/h2?x', [
          ['x-a', '1'],
          ['x-a', '2'],
          ['cookie', 'a=1'],
          ['cookie', 'b=2'],
        ]),
      );
      expect(answer.status).toBe(200);
      checks.push(comparable(authorizer.checks[0]));
    }
    expect(checks[1]).toEqual(checks[0]);
  });

  const REQUEST = 'GET /x?a=1&b=2&a=3 HTTP/1.1\r\nHost: app.test\r\nx-user: eve\r\nx-two: 1\r\nx-two: 2\r\n\r\n';

  test.each([
    ['plainly', ALLOWED],
    ['with an empty ok_response', { ...ALLOWED, okResponse: {} }],
    ['with headers', allowedWith({ 'x-user': 'ann', 'X-New': 'n' })],
    ['with a header twice', allowedWith({}, { headers: [option('x-user', 'first'), option('x-user', 'last')] })],
    ['with an empty value', allowedWith({ 'x-user': '' })],
    ['with a header that had two values', allowedWith({ 'x-two': 'one' })],
    ['with append, which is there', allowedWith({}, { headers: [{ ...option('x-user', 'ann'), append: { value: true } }] })],
    ['with append, which is not there', allowedWith({}, { headers: [{ ...option('x-new', 'ann'), append: { value: true } }] })],
    ['with append said not to', allowedWith({}, { headers: [{ ...option('x-user', 'ann'), append: { value: false } }] })],
    ['with an append_action', allowedWith({}, { headers: [{ ...option('x-user', 'ann'), appendAction: 1 }] })],
    ['with removals', allowedWith({}, { headersToRemove: ['x-user', 'X-Two', ':path', 'host'] })],
    ['with response headers', allowedWith({}, { responseHeadersToAdd: [option('x-told', '1'), option('x-told', '2')] })],
    [
      'with query parameters',
      allowedWith(
        {},
        {
          queryParametersToSet: [
            { key: 'a', value: 'x%20y' },
            { key: 'c', value: 'z' },
          ],
        },
      ),
    ],
    ['with query parameters to remove', allowedWith({}, { queryParametersToRemove: ['a', 'nobody'] })],
    ['with all of the query removed', allowedWith({}, { queryParametersToRemove: ['a', 'b'] })],
  ])('allows %s: the same reaches the application', async (_, answer) => {
    authorizer.answer = () => answer;
    const [theirs, ours] = [await outcome(envoy.port, REQUEST), await outcome(sidecar.inboundPort, REQUEST)];
    expect({ ...ours, check: null }).toEqual({ ...theirs, check: null });
    expect(ours.status).toBe(200);
  });

  test.each([
    ['with a denied_response without a status', { ...DENIED, deniedResponse: { body: 'no' } }, 403],
    ['with status, header and body', deniedWith(429, 'slow down', { 'x-told': 'later' }), 429],
    ['with a redirection', deniedWith(302, '', { location: 'https://login.test/' }), 302],
    ['with 401', deniedWith(401, 'who', { 'www-authenticate': 'Bearer' }), 401],
    ['with status 200', deniedWith(200, 'a page'), 200],
    ['with a header twice', deniedResponse(403, [option('x-told', '1'), option('x-told', '2')]), 403],
  ])('denies %s: the caller gets the same', async (_, answer, status) => {
    authorizer.answer = () => answer;
    const [theirs, ours] = [await outcome(envoy.port, REQUEST), await outcome(sidecar.inboundPort, REQUEST)];
    expect({ ...ours, check: null }).toEqual({ ...theirs, check: null });
    expect([ours.status, ours.line]).toEqual([status, '']);
  });

  test.each([
    ['plainly', DENIED],
    ['with an ok_response', { ...DENIED, okResponse: {} }],
    ['with another code', { status: { code: 5 } }],
  ])('denies %s: so do we, with a body of our own', async (_, answer) => {
    authorizer.answer = () => answer;
    const [theirs, ours] = [await outcome(envoy.port, REQUEST), await outcome(sidecar.inboundPort, REQUEST)];
    expect([theirs.status, theirs.line, ours.status, ours.line]).toEqual([403, '', 403, '']);
  });

  test.each([
    ['gives no answer in time', () => null],
    ['answers what is no status', () => ({ status: { code: 2 ** 31 } })],
  ])('denies when the authorizer %s, as we do', async (_, answer) => {
    authorizer.answer = answer;
    const [theirs, ours] = [await outcome(envoy.port, REQUEST), await outcome(sidecar.inboundPort, REQUEST)];
    expect([theirs.status, theirs.line]).toEqual([403, '']);
    expect([ours.status, ours.line]).toEqual([403, '']);
  });

  test('what it appends to the first of several lines we append to all of them, and what it puts into a query bare we escape', async () => {
    const headers = [{ ...option('x-two', '3'), append: { value: true } }];
    authorizer.answer = () => allowedWith({}, { headers, queryParametersToSet: [{ key: 'a', value: 'x y&z' }] });
    const [theirs, ours] = [await outcome(envoy.port, REQUEST), await outcome(sidecar.inboundPort, REQUEST)];
    expect([theirs.fields.filter(isTwo), theirs.line]).toEqual([['x-two: 1,3', 'x-two: 2'], 'GET /x?a=x y&z&b=2 HTTP/1.1']);
    expect([ours.fields.filter(isTwo), ours.line]).toEqual([['x-two: 1,2,3'], 'GET /x?a=x%20y%26z&b=2 HTTP/1.1']);
  });

  test.each([
    ['a message without a status', {}, 200],
    ['OK with a denied_response', { ...ALLOWED, deniedResponse: { status: { code: 401 } } }, 200],
    ['another host', allowedWith({ host: 'evil.test' }), 200],
    ['another path', allowedWith({ ':path': '/evil' }), 200],
    ['another method', allowedWith({ ':method': 'DELETE' }), 200],
    ['another client', allowedWith({ 'x-forwarded-client-cert': 'URI=spiffe://cluster.local/ns/test/sa/admin' }), 200],
    ['another address', allowedWith({ 'x-forwarded-for': '10.0.0.1' }), 200],
  ])('obeys %s, where we let nothing through', async (_, answer, status) => {
    authorizer.answer = () => answer;
    const [theirs, ours] = [await outcome(envoy.port, REQUEST), await outcome(sidecar.inboundPort, REQUEST)];
    expect(theirs.status).toBe(status);
    expect([ours.status, ours.line]).toEqual([403, '']);
  });
});

interface Outcome {
  readonly status: number;
  readonly told: readonly string[];
  readonly line: string;
  readonly fields: readonly string[];
  readonly check: Check | undefined;
}

function isTwo(line: string): boolean {
  return line.startsWith('x-two');
}

function option(key: string, value: string): object {
  return { header: { key, value } };
}

function deniedResponse(code: number, headers: readonly object[]): object {
  return { ...DENIED, deniedResponse: { status: { code }, headers } };
}

/** Fields that authorizer and caller are concerned with; what each proxy says of itself is left out. */
function told(fields: readonly (readonly [string, string])[]): readonly string[] {
  return fields
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => !OWN.has(name) && !name.startsWith('x-envoy-') && !name.startsWith('x-postern-'))
    .map(([name, value]) => `${name}: ${value}`)
    .toSorted();
}

/** What is different from one question to the next, and from one proxy to the other, is left out. */
function comparable(check: Check | undefined): unknown {
  if (check === undefined) return undefined;
  const { destination, request, source } = check.attributes;
  const { headers, ...http } = request.http;
  return {
    source: { principal: source.principal, address: source.address.socketAddress.address },
    destination: { principal: destination.principal, address: destination.address.socketAddress.address },
    http: { ...http, id: '' },
    headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !OWN.has(name) && !name.startsWith('x-envoy-'))),
  };
}

/**
 * Ids, what a proxy says of itself or of its connection, the client's address, which Envoy believes and we write, and the length: Envoy
 * adds one of 0 to requests, and its plain denial has no body.
 */
const OWN: ReadonlySet<string> = new Set(['x-request-id', 'server', 'date', 'connection', 'x-forwarded-for', 'content-length']);
