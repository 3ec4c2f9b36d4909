/**
 * What an app is told of its caller, by a running sidecar: the identity that was proved and nothing that a caller says of itself; and
 * that the path that was judged is the one that is logged and forwarded.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { requestLineOf, statusOf, valuesOf, type Message } from '#test/support/http-reader.ts';
import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { plainClient, tlsClient, type RawClient } from '#test/support/raw-client.ts';
import { startUpstream, type RawUpstream } from '#test/support/raw-upstream.ts';
import { figure, policyYaml, startSidecar, type Sidecar } from '#test/support/sidecar.ts';

const mesh = new MeshIdentities();
let upstream: RawUpstream;
let sidecar: Sidecar;

beforeAll(async () => {
  upstream = await startUpstream();
  const forwardTo = `127.0.0.1:${upstream.port}`;
  sidecar = await startSidecar({
    mesh,
    inbound: [
      { mtls: 'STRICT', forwardTo },
      { mtls: 'DISABLE', forwardTo },
    ],
    trustedForwarders: [mesh.id('gateway')],
    policies: {
      'public.yaml': policyYaml('public', {
        action: 'ALLOW',
        rules: [
          { to: [{ operation: { paths: ['/public', '/public/*', '*%2Fadmin'] } }] },
          { from: [{ source: { principals: ['cluster.local/ns/test/sa/web'] } }], to: [{ operation: { paths: ['/web/*'] } }] },
          { from: [{ source: { remoteIpBlocks: ['203.0.113.0/24'] } }], to: [{ operation: { paths: ['/remote'] } }] },
        ],
      }),
      'admin.yaml': policyYaml('admin', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/public/admin*'] } }] }] }),
    },
  });
});

beforeEach(() => upstream.forget());

afterAll(async () => {
  await sidecar[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

const as = (account: string): Promise<RawClient> => tlsClient(sidecar.inboundPort, { mesh, svid: mesh.svid(account) });
const clear = (): Promise<RawClient> => plainClient(sidecar.inbound[1] ?? 0);

function element(account: string): string {
  const hash = mesh.svid(account).certificate.x509.fingerprint256.replaceAll(':', '').toLowerCase();
  return `By=${mesh.id('app')};Hash=${hash};Subject="";URI=${mesh.id(account)}`;
}

/** Sends a GET with these field lines and returns what the upstream got, or null. */
async function get(client: RawClient, path: string, lines = ''): Promise<{ status: number; arrived: Message | null }> {
  const response = await client.ask(`GET ${path} HTTP/1.1\r\nHost: app.test\r\n${lines}\r\n`);
  return { status: statusOf(response), arrived: upstream.requests.at(-1) ?? null };
}

const FORGED = 'URI=spiffe://cluster.local/ns/test/sa/admin';
const SPELLINGS = [
  'x-forwarded-client-cert',
  'X-Forwarded-Client-Cert',
  'X-FORWARDED-CLIENT-CERT',
  'x_forwarded_client_cert',
  'X-Forwarded_Client-Cert',
  'X_FORWARDED-CLIENT_CERT',
] as const;

describe('x-forwarded-client-cert', () => {
  test('names the caller that was proved, in the grammar of Istio', async () => {
    await using client = await as('web');
    const { status, arrived } = await get(client, '/public');
    expect(status).toBe(200);
    expect(valuesOf(arrived?.fields ?? [], 'x-forwarded-client-cert')).toEqual([element('web')]);
  });

  test.each(SPELLINGS)('a forged %s never arrives', async (name) => {
    await using client = await as('web');
    const { status, arrived } = await get(client, '/public', `${name}: ${FORGED}\r\n`);
    if (name.includes('_')) {
      expect({ status, bytes: upstream.bytes }).toEqual({ status: 400, bytes: 0 });
    } else {
      expect(status).toBe(200);
      expect(valuesOf(arrived?.fields ?? [], 'x-forwarded-client-cert')).toEqual([element('web')]);
    }
    expect(upstream.connections.flatMap(({ reader }) => reader.heads).join('')).not.toContain('sa/admin');
  });

  test.each(SPELLINGS)('a forged %s in the trailers never arrives', async (name) => {
    await using client = await as('web');
    const response = await client.ask(
      `POST /public HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n${name}: ${FORGED}\r\nX-Sum: 1\r\nAuthorization: Bearer x\r\n\r\n`,
    );
    expect(statusOf(response)).toBe(200);
    expect(upstream.requests.at(-1)?.trailers).toEqual([['X-Sum', '1']]);
  });

  test.each([
    ...SPELLINGS,
    'x-forwarded-for',
    'Authorization',
    'cookie',
    'host',
    'content-length',
    'x-request-id',
    'x-real-ip',
    'Forwarded',
  ])('Connection may not name %s', async (name) => {
    await using client = await as('web');
    const { status } = await get(client, '/public', `Connection: close, ${name}\r\nX-Forwarded-Client-Cert: ${FORGED}\r\n`);
    expect({ status, bytes: upstream.bytes }).toEqual({ status: 400, bytes: 0 });
  });

  test('is dropped on plaintext, and x-forwarded-for is the socket', async () => {
    await using client = await clear();
    const { status, arrived } = await get(
      client,
      '/public',
      `X-Forwarded-Client-Cert: ${FORGED}\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n`,
    );
    expect(status).toBe(200);
    const fields = arrived?.fields ?? [];
    expect(valuesOf(fields, 'x-forwarded-client-cert')).toEqual([]);
    expect(valuesOf(fields, 'x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(valuesOf(fields, 'x-forwarded-proto')).toEqual(['http']);
  });

  test('is appended for a trusted forwarder, and for nobody else', async () => {
    const said = 'By=spiffe://cluster.local/ns/test/sa/gateway;URI=spiffe://cluster.local/ns/test/sa/browser';
    const lines = `X-Forwarded-Client-Cert: ${said}\r\nX-Forwarded-For: 198.51.100.1, 203.0.113.9\r\nX-Request-Id: told\r\nX-Forwarded-Proto: https\r\n`;
    await using gateway = await as('gateway');
    const trusted = (await get(gateway, '/public', lines)).arrived?.fields ?? [];
    expect(valuesOf(trusted, 'x-forwarded-client-cert')).toEqual([`${said},${element('gateway')}`]);
    expect(valuesOf(trusted, 'x-forwarded-for').map((value) => value.replaceAll(' ', ''))).toEqual([
      '198.51.100.1,203.0.113.9,127.0.0.1',
    ]);
    expect(valuesOf(trusted, 'x-request-id')).toEqual(['told']);
    await using web = await as('web');
    const untrusted = (await get(web, '/public', lines)).arrived?.fields ?? [];
    expect(valuesOf(untrusted, 'x-forwarded-client-cert')).toEqual([element('web')]);
    expect(valuesOf(untrusted, 'x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(valuesOf(untrusted, 'x-request-id')).toHaveLength(1);
    expect(valuesOf(untrusted, 'x-request-id')).not.toEqual(['told']);
  });
});

test('fields that tell of an original request end here, unless a trusted forwarder sends them', async () => {
  const names = [
    'Forwarded',
    'X-Real-Ip',
    'X-Forwarded-Host',
    'X-Forwarded-Port',
    'X-Forwarded-Prefix',
    'X-Forwarded-Anything',
    'X-Original-Url',
    'X-Rewrite-Url',
  ];
  const ours = ['X-Postern-Reason', 'X-Postern-Anything', 'X-Envoy-Peer-Metadata', 'Client-Cert', 'Proxy-Authorization'];
  const lines = [...names, ...ours].map((name) => `${name}: forged\r\n`).join('');
  await using web = await as('web');
  expect((await get(web, '/public', lines)).arrived?.head).not.toContain('forged');
  await using gateway = await as('gateway');
  const trusted = (await get(gateway, '/public', lines)).arrived?.fields ?? [];
  expect(trusted.filter(([, value]) => value === 'forged').map(([name]) => name)).toEqual(names);
});

test('the address that policy reads is the socket, or what a trusted forwarder says', async () => {
  const lines = 'X-Forwarded-For: 203.0.113.9\r\n';
  await using gateway = await as('gateway');
  expect((await get(gateway, '/remote', lines)).status).toBe(200);
  expect((await get(gateway, '/remote', 'X-Forwarded-For: 203.0.113.9, 10.0.0.1\r\n')).status).toBe(403);
  expect((await get(gateway, '/remote')).status).toBe(403);
  await using web = await as('web');
  expect((await get(web, '/remote', lines)).status).toBe(403);
  await using anonymous = await clear();
  expect((await get(anonymous, '/remote', lines)).status).toBe(403);
});

test('what a policy allows one identity it allows no other, and the denied never reach the app', async () => {
  await using web = await as('web');
  await using other = await as('other');
  await using anonymous = await clear();
  expect((await get(web, '/web/x')).status).toBe(200);
  upstream.forget();
  const denied = await other.ask('GET /web/x HTTP/1.1\r\nHost: app.test\r\n\r\n');
  expect([statusOf(denied), ...valuesOf(denied.fields, 'x-postern-reason')]).toEqual([403, 'denied_by_policy']);
  expect((await get(anonymous, '/web/x')).status).toBe(403);
  expect(upstream.bytes).toBe(0);
  // A decision is its connection's and its request's, not its neighbour's.
  await Promise.all(
    Array.from({ length: 50 }, async () => {
      await using one = await as('web');
      await using two = await as('other');
      const [first, second] = await Promise.all([
        one.ask('GET /web/y HTTP/1.1\r\nHost: a\r\n\r\n'),
        two.ask('GET /web/y HTTP/1.1\r\nHost: a\r\n\r\n'),
      ]);
      expect([statusOf(first), statusOf(second)]).toEqual([200, 403]);
    }),
  );
});

test('ids of request, trace and decision stand in the log, secrets do not', async () => {
  await using web = await as('web');
  const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const { arrived } = await get(
    web,
    '/public/traced?token=hidden-query',
    `traceparent: ${trace}\r\nAuthorization: Bearer hidden-token\r\nCookie: hidden=cookie\r\nUser-Agent: tester\r\n`,
  );
  const line = await sidecar.logged((each) => each['path'] === '/public/traced');
  const [requestId] = valuesOf(arrived?.fields ?? [], 'x-request-id');
  expect(requestId).toMatch(/^[0-9a-f-]{36}$/);
  expect(line).toMatchObject({
    request_id: requestId,
    traceparent: trace,
    user_agent: 'tester',
    source_principal: mesh.id('web'),
  });
  expect(valuesOf(arrived?.fields ?? [], 'traceparent')).toEqual([trace]);
  expect(valuesOf(arrived?.fields ?? [], 'authorization')).toEqual(['Bearer hidden-token']);
  expect(JSON.stringify(sidecar.log())).not.toContain('hidden');

  const denied = await web.ask('GET /nowhere HTTP/1.1\r\nHost: app.test\r\n\r\n');
  const [decisionId] = valuesOf(denied.fields, 'x-postern-decision-id');
  const told = await sidecar.logged((each) => each['path'] === '/nowhere');
  expect(told).toMatchObject({ decision_id: decisionId, response_code: 403, verdict: 'denied' });
  expect(await sidecar.adminRecord(`/decisions/${decisionId}`)).toMatchObject({ id: decisionId, decision: { effect: 'deny' } });
});

describe('the path that is judged is the one that is logged and forwarded', () => {
  let compared = 0;
  afterAll(() => figure(`path judged = logged = forwarded: ${compared} targets`));
  test.each([
    ['/public/x', 200],
    ['/public/x?a=/../../admin&b=%2e%2e', 200],
    ['/public/./x', 200],
    ['/public/../public/x', 200],
    ['/%70ublic/x', 200],
    ['/public%2e/x', 403],
    ['http://app.test/public/x', 200],
    ['http://app.test:80/public/../nowhere', 403],
    ['/public/../nowhere', 403],
    ['/public/%2e%2e/nowhere', 403],
    ['/public/%2E./nowhere', 403],
    ['/public/..;/nowhere', 403],
    ['/public/..;a=b/nowhere', 403],
    ['/public\\..\\nowhere', 403],
    ['/public/..%2fnowhere', 200],
    ['/public/%5c..%5cnowhere', 200],
    ['//public/x', 403],
    ['/PUBLIC/x', 403],
    ['/public/admin', 403],
    ['/public/%61dmin', 403],
    ['/public/x/../admin/y', 403],
    ['/public/./admin', 403],
    ['/public//admin', 200],
    ['/public/"<>^`{|}', 200],
    ['/public/%00', 400],
    ['/public/%zz', 400],
    ['/public/x#y', 400],
    ['/public/\xff', 400],
    ['/nowhere/..%2fpublic/x', 403],
    ['/nowhere/../public/x', 200],
    ['public/x', 400],
    ['*', 400],
    ['app.test:443', 400],
    ['ftp://app.test/public/x', 400],
    ['http://other.test/public/x', 400],
  ] as const)('%s', async (target, status) => {
    await using client = await as('other');
    // Tells the line in the log, whatever becomes of the path.
    const mark = `mark-${compared}-${process.hrtime.bigint()}`;
    const response = await client.ask(`GET ${target} HTTP/1.1\r\nHost: app.test\r\nUser-Agent: ${mark}\r\n\r\n`);
    expect(statusOf(response)).toBe(status);
    compared++;
    if (status !== 200) {
      expect(upstream.bytes).toBe(0);
      if (status !== 403) return;
    }
    const line = await sidecar.logged((each) => each['user_agent'] === mark);
    if (status === 403) return;
    const [, forwarded] = requestLineOf(upstream.requests[0] ?? response);
    const [path, query] = forwarded.split('?');
    expect(line['path']).toBe(path);
    expect(path).toMatch(/^\/public\//);
    expect(path).not.toMatch(/\/\.{1,2}(;[^/]*)?(\/|$)/);
    expect(query).toBe(target.includes('?') ? target.slice(target.indexOf('?') + 1) : undefined);
  });
});
