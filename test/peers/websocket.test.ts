/**
 * Real proxies on either side of a sidecar carry WebSockets through it: nginx over HTTP/1.1, HAProxy over HTTP/2 (RFC 8441), each as
 * the caller by mutual TLS and as the workload.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { freePort } from '#test/support/free-port.ts';
import { peer, requirePeer } from '#test/support/peers.ts';
import { startProcess, type TestProcess } from '#test/support/processes.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { policyYaml, startSidecar, type Sidecar } from '#test/support/sidecar.ts';
import { startEchoingApp, websocket, type EchoingApp } from '#test/support/websocket-peers.ts';

const hasNginx = peer('nginx') !== null;
const hasHaproxy = peer('haproxy') !== null;

let folder = '';
let app: EchoingApp;
let sidecar: Sidecar;
/** Ports of nginx and HAProxy: as callers of the sidecar, and as workloads before the app. */
const ports = { nginxCalls: 0, nginxServes: 0, haproxyCalls: 0, haproxyServes: 0 };
const started: TestProcess[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'websocket-'));
  app = await startEchoingApp();
  for (const name of Object.keys(ports)) ports[name as keyof typeof ports] = await freePort(); // the keys of that very record
  sidecar = await startSidecar({
    mesh,
    inbound: [
      { mtls: 'STRICT', forwardTo: `127.0.0.1:${app.port}` },
      { mtls: 'STRICT', forwardTo: `127.0.0.1:${ports.nginxServes}` },
      { mtls: 'STRICT', forwardTo: `h2c://127.0.0.1:${ports.haproxyServes}` },
    ],
    policies: {
      'p.yaml': policyYaml('chat', {
        action: 'ALLOW',
        rules: [
          {
            from: [{ source: { principals: [mesh.id('web').slice('spiffe://'.length)] } }],
            to: [{ operation: { methods: ['GET'], paths: ['/chat/*'] } }],
          },
        ],
      }),
    },
  });
  const { certificatePem, keyPem } = web.svid;
  writeFileSync(join(folder, 'web.pem'), certificatePem);
  writeFileSync(join(folder, 'web.key'), keyPem, { mode: 0o600 });
  writeFileSync(join(folder, 'both.pem'), certificatePem + keyPem, { mode: 0o600 });
  if (hasNginx) await start('nginx', ['-p', folder, '-c', 'nginx.conf', '-e', 'error.log'], nginxConfig(), ports.nginxCalls);
  if (hasHaproxy) await start('haproxy', ['-db', '-f', join(folder, 'haproxy.conf')], haproxyConfig(), ports.haproxyCalls);
});

afterAll(async () => {
  for (const each of started) await each.end();
  await sidecar?.[Symbol.asyncDispose]();
  await app?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

describe.each([
  { what: 'nginx as caller', has: hasNginx, port: () => ports.nginxCalls, caller: null, protocol: 'HTTP/1.1' },
  {
    what: 'HAProxy as caller, by extended CONNECT',
    has: hasHaproxy,
    port: () => ports.haproxyCalls,
    caller: null,
    protocol: 'HTTP/2',
  },
  { what: 'nginx as workload', has: hasNginx, port: () => sidecar.inbound[1] ?? 0, caller: web, protocol: 'HTTP/1.1' },
  {
    what: 'HAProxy as workload, by extended CONNECT',
    has: hasHaproxy,
    port: () => sidecar.inbound[2] ?? 0,
    caller: web,
    protocol: 'HTTP/1.1',
  },
])('$what', ({ has, port, caller, protocol }) => {
  test.skipIf(!has)('carries frames of every size, and the end of either side', async () => {
    const path = `/chat/${randomBytes(4).toString('hex')}`;
    const client = keep(await websocket(port(), path, caller));
    expect(await client.echo('hello')).toBe('hello');
    for (const size of [1, 126, 65_536, 1_048_576]) {
      const bytes = randomBytes(size);
      expect(sha(await client.echo(bytes))).toBe(sha(bytes));
    }
    client.socket.close(4001, 'enough');
    expect(await client.over()).toEqual({ code: 4001, reason: 'enough' });
    expect(await sidecar.logged((line) => line['path'] === path)).toMatchObject({
      protocol,
      reason: null,
      source_principal: mesh.id('web'),
    });

    const other = keep(await websocket(port(), path, caller));
    expect(await other.echo('x')).toBe('x');
    for (const each of app.server.clients) each.close(1012, 'restarting');
    expect(await other.over()).toMatchObject({ code: 1012 });
  });

  test.skipIf(!has)('is refused where the policy says so', async () => {
    await expect(websocket(port(), '/admin', caller)).rejects.toThrow('refused with 403');
    expect(app.open).toBe(0);
  });
});

async function start(name: string, options: readonly string[], config: string, port: number): Promise<void> {
  writeFileSync(join(folder, `${name}.conf`), config);
  const process_ = startProcess(requirePeer(name), options);
  started.push(process_);
  await process_.waitForPort(port);
}

function nginxConfig(): string {
  const server = (listen: number, pass: string): string => `
    server {
      listen 127.0.0.1:${listen};
      location / {
        proxy_pass ${pass};
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection upgrade;
        proxy_set_header Host $host;
        proxy_ssl_certificate ${folder}/web.pem;
        proxy_ssl_certificate_key ${folder}/web.key;
        proxy_ssl_protocols TLSv1.3;
      }
    }`;
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((each) => `${each}_temp_path ${folder}/${each};`)
    .join(' ');
  return `
    daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
    events { worker_connections 256; }
    http {
      access_log off; ${paths}
      ${server(ports.nginxCalls, `https://127.0.0.1:${sidecar.inboundPort}`)}
      ${server(ports.nginxServes, `http://127.0.0.1:${app.port}`)}
    }
  `;
}

function haproxyConfig(): string {
  return `
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout tunnel 60s
frontend calls
  bind 127.0.0.1:${ports.haproxyCalls}
  default_backend sidecar
backend sidecar
  server sidecar 127.0.0.1:${sidecar.inboundPort} ssl verify none crt ${folder}/both.pem alpn h2 ws h2
frontend serves
  bind 127.0.0.1:${ports.haproxyServes} proto h2
  default_backend app
backend app
  server app 127.0.0.1:${app.port}
`;
}

function sha(bytes: string | Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
