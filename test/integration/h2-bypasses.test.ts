/**
 * Ways round a policy that only HTTP/2 has: what can be taken for two requests is refused before the workload sees a byte, over mutual
 * TLS and in the clear, and what is merely unusual passes.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Fields } from '#test/conformance/h2/raw-peer.ts';
import { h2cClient, h2TlsClient, type H2Client } from '#test/support/h2-client.ts';
import { startUpstream, type RawUpstream } from '#test/support/raw-upstream.ts';
import { mesh, web } from '#test/support/sidecar-pair.ts';
import { eventually, policyYaml, startSidecar, type Sidecar } from '#test/support/sidecar.ts';

let upstream: RawUpstream;
let sidecar: Sidecar;

beforeAll(async () => {
  upstream = await startUpstream();
  const forwardTo = `http://127.0.0.1:${upstream.port}`;
  sidecar = await startSidecar({
    mesh,
    inbound: [
      { mtls: 'STRICT', forwardTo },
      { mtls: 'DISABLE', protocol: 'http2', forwardTo },
    ],
    policies: {
      'app.yaml': policyYaml('app', {
        action: 'ALLOW',
        rules: [
          { to: [{ operation: { methods: ['GET', 'POST', 'HEAD', 'OPTIONS'], hosts: ['app.test'] } }] },
          {
            to: [{ operation: { methods: ['GET'], hosts: ['app.test'] } }],
            when: [{ key: 'request.headers[x-role]', values: ['a'] }],
          },
        ],
      }),
      'deny.yaml': policyYaml('deny', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/admin*'] } }] }] }),
    },
  });
});

afterAll(async () => {
  await sidecar?.[Symbol.asyncDispose]();
  await upstream?.[Symbol.asyncDispose]();
});

/** A request's fields with some replaced, by name, or left out by null, and others behind them. */
function get(changes: Readonly<Record<string, string | null>> = {}, more: Fields = []): Fields {
  const usual: Record<string, string | null> = { ':method': 'GET', ':scheme': 'https', ':path': '/x', ':authority': 'app.test' };
  const pseudo = Object.entries({ ...usual, ...changes }).flatMap(([name, value]) =>
    value === null ? [] : [[name, value] as const],
  );
  return [...pseudo, ...more];
}

/** Broken off as malformed, or answered with a refusal. */
type Refusal = 'reset' | number;

const refused: readonly { readonly why: string; readonly fields: Fields; readonly want: Refusal; readonly reason?: string }[] = [
  {
    why: 'a Host that differs from :authority',
    fields: get({}, [['host', 'other.test']]),
    want: 'reset',
    reason: 'bad_authority',
  },
  {
    why: 'two Hosts',
    fields: get({ ':authority': null }, [
      ['host', 'app.test'],
      ['host', 'app.test'],
    ]),
    want: 'reset',
  },
  { why: 'no authority at all', fields: get({ ':authority': null }), want: 400, reason: 'bad_authority' },
  { why: 'an empty :authority', fields: get({ ':authority': '' }), want: 'reset' },
  { why: 'user info in :authority', fields: get({ ':authority': 'app.test@evil.test' }), want: 400, reason: 'bad_authority' },
  { why: 'user info with a password', fields: get({ ':authority': 'a:b@app.test' }), want: 400, reason: 'bad_authority' },
  { why: 'a blank in :authority', fields: get({ ':authority': 'app.test evil' }), want: 'reset' },
  { why: 'a slash in :authority', fields: get({ ':authority': 'app.test/x' }), want: 400 },
  { why: 'two authorities with a comma', fields: get({ ':authority': 'app.test,evil.test' }), want: 400 },
  { why: 'a method in lower case', fields: get({ ':method': 'get' }), want: 'reset', reason: 'bad_method' },
  { why: 'a method of mixed case', fields: get({ ':method': 'Get' }), want: 'reset', reason: 'bad_method' },
  { why: 'a method with a blank', fields: get({ ':method': 'GET /y' }), want: 'reset' },
  { why: 'an empty method', fields: get({ ':method': '' }), want: 'reset' },
  { why: 'a fragment', fields: get({ ':path': '/x#/admin' }), want: 400, reason: 'bad_path' },
  { why: 'a fragment in the query', fields: get({ ':path': '/x?a#b' }), want: 400, reason: 'bad_path' },
  { why: 'bytes above 0x7f in the path', fields: get({ ':path': '/\u00e4' }), want: 'reset', reason: 'bad_path' },
  { why: 'a blank in the path', fields: get({ ':path': '/x HTTP/1.1' }), want: 'reset', reason: 'bad_path' },
  { why: 'a line end in the path', fields: get({ ':path': '/x HTTP/1.1\r\nHost: evil' }), want: 'reset' },
  { why: 'a path without a slash', fields: get({ ':path': 'x' }), want: 'reset' },
  { why: 'an absolute URI as path', fields: get({ ':path': 'http://evil.test/x' }), want: 'reset' },
  { why: 'an empty path', fields: get({ ':path': '' }), want: 'reset' },
  { why: 'the asterisk with GET', fields: get({ ':path': '*' }), want: 'reset' },
  { why: 'the scheme ftp', fields: get({ ':scheme': 'ftp' }), want: 'reset', reason: 'bad_path' },
  { why: 'a scheme that smuggles', fields: get({ ':scheme': 'http://evil.test/?' }), want: 'reset' },
  { why: 'no scheme', fields: get({ ':scheme': null }), want: 'reset' },
  { why: 'a line feed in a value', fields: get({}, [['x-a', 'b\nx-role: a']]), want: 'reset', reason: 'bad_field' },
  { why: 'a carriage return in a value', fields: get({}, [['x-a', 'b\rc']]), want: 'reset' },
  { why: 'NUL in a value', fields: get({}, [['x-a', 'b\0c']]), want: 'reset' },
  { why: 'a blank before a value', fields: get({}, [['x-a', ' b']]), want: 'reset' },
  { why: 'a tab behind a value', fields: get({}, [['x-a', 'b\t']]), want: 'reset' },
  { why: 'an upper-case name', fields: get({}, [['X-Role', 'a']]), want: 'reset', reason: 'bad_field' },
  { why: 'a name with a colon', fields: get({}, [['x-a:b', 'c']]), want: 'reset' },
  { why: 'a name with a line end', fields: get({}, [['x-a\r\nx-role', 'a']]), want: 'reset' },
  { why: 'an empty name', fields: get({}, [['', 'c']]), want: 'reset' },
  { why: 'Connection', fields: get({}, [['connection', 'x-role']]), want: 'reset' },
  { why: 'Transfer-Encoding', fields: get({}, [['transfer-encoding', 'chunked']]), want: 'reset' },
  { why: 'Upgrade', fields: get({}, [['upgrade', 'websocket']]), want: 'reset' },
  {
    why: 'two lengths',
    fields: get({ ':method': 'POST' }, [
      ['content-length', '0'],
      ['content-length', '0'],
    ]),
    want: 'reset',
  },
  { why: 'a length that is none', fields: get({ ':method': 'POST' }, [['content-length', '+0']]), want: 'reset' },
  { why: 'a length without content', fields: get({ ':method': 'POST' }, [['content-length', '5']]), want: 'reset' },
  { why: 'x_role, which shadows what the policy reads', fields: get({}, [['x_role', 'a']]), want: 400, reason: 'bad_field' },
  { why: 'x_forwarded_client_cert', fields: get({}, [['x_forwarded_client_cert', 'URI=spiffe://x']]), want: 400 },
  { why: 'x-forwarded_for', fields: get({}, [['x-forwarded_for', '1.2.3.4']]), want: 400 },
  { why: 'content_length', fields: get({}, [['content_length', '5']]), want: 400 },
  {
    why: 'two Authorization fields',
    fields: get({}, [
      ['authorization', 'a'],
      ['authorization', 'b'],
    ]),
    want: 400,
  },
  { why: 'a pseudo-header twice', fields: [...get(), [':path', '/admin']], want: 'reset' },
  { why: 'a pseudo-header behind a field', fields: [...get({ ':path': null }, [['x-a', 'b']]), [':path', '/x']], want: 'reset' },
  { why: 'an unknown pseudo-header', fields: [...get(), [':role', 'a']], want: 'reset' },
  {
    why: 'a denied path that is not canonical',
    fields: get({ ':path': '/y/../admin/z' }),
    want: 403,
    reason: 'denied_by_policy',
  },
  { why: 'a denied path that is escaped', fields: get({ ':path': '/%61dmin' }), want: 403 },
  { why: 'a host that no rule allows', fields: get({ ':authority': 'other.test' }), want: 403 },
  {
    why: 'CONNECT',
    fields: [
      [':method', 'CONNECT'],
      [':authority', 'app.test:80'],
    ],
    want: 501,
    reason: 'method_refused',
  },
  { why: 'CONNECT with a path', fields: get({ ':method': 'CONNECT' }), want: 'reset' },
  {
    why: 'extended CONNECT for something else',
    fields: get({ ':method': 'CONNECT', ':protocol': 'connect-udp' }),
    want: 501,
    reason: 'upgrade_refused',
  },
  { why: ':protocol with GET', fields: get({ ':protocol': 'websocket' }), want: 'reset' },
];

describe.each(['mutual TLS', 'prior knowledge'])('over %s', (transport) => {
  const connect = (): Promise<H2Client> =>
    transport === 'mutual TLS' ? h2TlsClient(sidecar.inboundPort, web) : h2cClient(sidecar.inbound[1] ?? 0);

  test.each(refused)('refuses $why', async ({ fields, want, reason }) => {
    await using client = await connect();
    upstream.forget();
    const endsStream = !fields.some((field) => field[1] === 'CONNECT');
    const lines = sidecar.log().length;
    const id = client.open(fields, endsStream);
    const { reset, status } = await client.answer(id);
    expect(reset >= 0 && status === 0 ? 'reset' : status).toBe(want);
    expect(upstream.bytes).toBe(0);
    // The connection is none the worse for it.
    expect((await client.ask(get())).status).toBe(200);
    if (reason === undefined) return;
    await eventually('a line', () =>
      sidecar
        .log()
        .slice(lines)
        .some((line) => line['reason'] === reason),
    );
  });

  test.each<{ why: string; fields: Fields; status?: number; line?: string; absent?: string }>([
    { why: 'a name with an underscore that shadows nothing', fields: get({}, [['x_meta_data', '1']]), line: 'x_meta_data: 1' },
    { why: 'Host that says what :authority says', fields: get({}, [['host', 'app.test']]), line: 'host: app.test' },
    { why: 'Host in another case', fields: get({}, [['host', 'APP.test']]), line: 'host: app.test' },
    { why: 'Host alone', fields: get({ ':authority': null }, [['host', 'app.test']]), line: 'host: app.test' },
    { why: 'the scheme http', fields: get({ ':scheme': 'http' }) },
    { why: 'a scheme in upper case', fields: get({ ':scheme': 'HTTPS' }) },
    { why: 'the asterisk of OPTIONS', fields: get({ ':method': 'OPTIONS', ':path': '*' }), line: 'OPTIONS * HTTP/1.1' },
    {
      why: 'cookie crumbs, as one',
      fields: get({}, [
        ['cookie', 'a=1'],
        ['cookie', 'b=2'],
      ]),
      line: 'cookie: a=1; b=2',
    },
    { why: 'TE: trailers', fields: get({}, [['te', 'trailers']]), line: 'te: trailers' },
    {
      why: 'an identity of its own making, without it',
      fields: get({}, [['x-forwarded-client-cert', 'URI=spiffe://evil']]),
      absent: 'evil',
    },
  ])('passes $why', async ({ fields, line, absent, status = 200 }) => {
    await using client = await connect();
    upstream.forget();
    const received = await client.ask(fields);
    expect(received.status).toBe(status);
    const head = upstream.requests[0]?.head ?? '';
    if (line !== undefined) expect(head.split('\r\n')).toContain(line);
    if (absent !== undefined) expect(head).not.toContain(absent);
  });
});
