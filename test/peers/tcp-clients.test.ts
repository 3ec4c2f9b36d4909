/** curl and OpenSSL's s_client on one port: each protocol is found out, as the mesh's callers and others would speak it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { peer, requirePeer } from '#test/support/peers.ts';
import { runProcess, startProcess } from '#test/support/processes.ts';
import { startUpstream, type RawUpstream } from '#test/support/raw-upstream.ts';
import { eventually, startSidecar, type LogLine, type Sidecar } from '#test/support/sidecar.ts';
import { mesh } from '#test/support/sidecar-pair.ts';
import { echo, startTcpApp, type TcpApp } from '#test/support/tcp-app.ts';

let folder = '';
let web: RawUpstream;
let raw: TcpApp;
let sidecar: Sidecar;
/** STRICT and PERMISSIVE before an HTTP app, STRICT and PERMISSIVE before one of raw TCP. */
let ports: readonly number[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'clients-'));
  const { certificatePem, keyPem } = mesh.svid('web');
  writeFileSync(join(folder, 'web.pem'), certificatePem);
  writeFileSync(join(folder, 'web.key'), keyPem, { mode: 0o600 });
  writeFileSync(join(folder, 'ca.pem'), mesh.bundlePem);
  web = await startUpstream();
  raw = await startTcpApp(echo);
  const inbound = [web.port, raw.port].flatMap((port) => [
    { forwardTo: `127.0.0.1:${port}` },
    { mtls: 'PERMISSIVE', forwardTo: `127.0.0.1:${port}` },
  ]);
  sidecar = await startSidecar({ mesh, inbound });
  ports = sidecar.inbound;
}, 60_000);

afterAll(async () => {
  await sidecar[Symbol.asyncDispose]();
  await web[Symbol.asyncDispose]();
  await raw[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

describe.skipIf(peer('curl') === null)('curl', { timeout: 60_000 }, () => {
  const TLS = ['--cert', 'web.pem', '--key', 'web.key', '--insecure'];

  test.each([
    { what: 'HTTP/1.1 in the clear', port: 1, scheme: 'http', args: ['--http1.1'], version: '1.1' },
    { what: 'HTTP/2 with prior knowledge', port: 1, scheme: 'http', args: ['--http2-prior-knowledge'], version: '2' },
    { what: 'HTTP/1.0 in the clear', port: 1, scheme: 'http', args: ['--http1.0'], version: '1.1' },
    { what: 'HTTP/1.1 over mutual TLS', port: 0, scheme: 'https', args: ['--http1.1', ...TLS], version: '1.1' },
    { what: 'HTTP/2 over mutual TLS', port: 0, scheme: 'https', args: ['--http2', ...TLS], version: '2' },
    {
      what: 'HTTP/1.1 over mutual TLS without ALPN',
      port: 0,
      scheme: 'https',
      args: ['--http1.1', '--no-alpn', ...TLS],
      version: '1.1',
    },
  ])('speaks $what', async ({ port, scheme, args, version }) => {
    const url = `${scheme}://127.0.0.1:${ports[port] ?? 0}/from-curl`;
    const format = '\n%{http_code} %{http_version}';
    const { stdout, stderr } = await runProcess(
      requirePeer('curl'),
      ['--silent', '--show-error', '--max-time', '20', '-w', format, ...args, url],
      { cwd: folder },
    );
    expect({ stdout, stderr }).toEqual({ stdout: `plain\n200 ${version}`, stderr: '' });
  });

  test('over TLS without a mesh protocol passes to the app of a PERMISSIVE port, which speaks none here', async () => {
    const url = `https://127.0.0.1:${ports[1] ?? 0}/`;
    const before = web.connections.length;
    const { code } = await runProcess(requirePeer('curl'), ['--silent', '--max-time', '3', ...TLS, url], { cwd: folder });
    expect(code).not.toBe(0);
    // A ClientHello came there, and nobody's request.
    expect(web.connections.length).toBe(before + 1);
    expect(await sidecar.logged((line) => line['connection_security_policy'] === 'passthrough')).toMatchObject({
      source_principal: null,
    });
  });
});

describe.skipIf(peer('openssl') === null)("OpenSSL's s_client", { timeout: 60_000 }, () => {
  test.each([
    { alpn: 'istio', port: 2, selected: 'istio' },
    { alpn: 'istio-peer-exchange,istio', port: 2, selected: 'istio' },
    { alpn: 'istio', port: 3, selected: 'istio' },
    { alpn: null, port: 2, selected: null },
  ])('with ALPN $alpn carries raw TCP with its identity on port $port', async ({ alpn, port, selected }) => {
    const args = [
      's_client',
      '-connect',
      `127.0.0.1:${ports[port] ?? 0}`,
      '-cert',
      'web.pem',
      '-key',
      'web.key',
      '-CAfile',
      'ca.pem',
    ];
    await using client = startProcess(requirePeer('openssl'), [...args, '-ign_eof', ...(alpn === null ? [] : ['-alpn', alpn])], {
      cwd: folder,
      input: '#0 raw\n',
    });
    await client.waitForLine('#0 raw', 20_000);
    if (selected !== null) expect(client.stdout).toContain(`ALPN protocol: ${selected}`);
    const told = (): readonly LogLine[] =>
      sidecar.log().filter((line) => line['close_reason'] !== undefined && line['source_principal'] === mesh.id('web'));
    const before = told().length;
    await client.end();
    await eventually('the line of its end', () => told().length > before);
    expect(told().at(-1)).toMatchObject({ connection_security_policy: 'mutual_tls', bytes_received: 7, bytes_sent: 7 });
  });

  test('with an HTTP protocol of the mesh is served HTTP on a PERMISSIVE port', async () => {
    const args = [
      's_client',
      '-connect',
      `127.0.0.1:${ports[1] ?? 0}`,
      '-cert',
      'web.pem',
      '-key',
      'web.key',
      '-quiet',
      '-alpn',
      'istio-http/1.1,istio,http/1.1',
    ];
    await using client = startProcess(requirePeer('openssl'), args, {
      cwd: folder,
      input: 'GET /from-openssl HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    });
    await client.waitForLine('HTTP/1.1 200', 20_000);
    expect(await sidecar.logged(({ path }) => path === '/from-openssl')).toMatchObject({ source_principal: mesh.id('web') });
  });
});
