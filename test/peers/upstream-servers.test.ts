/**
 * Real servers behind a sidecar: nginx, HAProxy and Envoy as a peer's sidecar by mutual TLS, where HTTP/2 is agreed on, and where it
 * is not; as a workload that speaks HTTP/2 in the clear; and a gRPC server behind two sidecars. Envoy takes a client for one of
 * the mesh as Istio's sidecars do: by what it offers in the handshake.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Metadata } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';

import { freePort } from '#test/support/free-port.ts';
import { grpcClient, startGrpcApp, type Answer } from '#test/support/grpc-app.ts';
import { statusOf, valuesOf } from '#test/support/http-reader.ts';
import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { peer, requirePeer } from '#test/support/peers.ts';
import { startProcess } from '#test/support/processes.ts';
import { seededBytes } from '#test/support/random.ts';
import { plainClient } from '#test/support/raw-client.ts';
import { startSidecar, type Settings, type Sidecar } from '#test/support/sidecar.ts';

const mesh = new MeshIdentities();
/** Of `callsOf`. */
const CALLS = 120;
const FILE = seededBytes(7, 1_000_000);
const FILE_HASH = hashOf(FILE);
const disposables: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of disposables.splice(0).toReversed()) await each[Symbol.asyncDispose]();
});

interface Server {
  readonly name: 'nginx' | 'haproxy' | 'envoy';
  /** Has files to serve; the others answer all by themselves. */
  readonly hasFiles: boolean;
  readonly start: (folder: string, port: number, kind: Kind) => Promise<void>;
}

/** By mutual TLS with HTTP/2 on offer, or without, or HTTP/2 in the clear. */
type Kind = 'tls-h2' | 'tls-h1' | 'h2c';

const SERVERS: readonly Server[] = [
  { name: 'nginx', hasFiles: true, start: startNginx },
  { name: 'haproxy', hasFiles: false, start: startHaproxy },
  { name: 'envoy', hasFiles: false, start: startEnvoy },
];

describe.each(SERVERS)('$name', ({ name, hasFiles, start }) => {
  const isMissing = peer(name) === null;

  test.skipIf(isMissing).each([
    ['tls-h2', 'http2', 1],
    ['tls-h1', 'http1', 10],
  ] as const)('as a peer (%s) is spoken to by %s', async (kind, protocol, connections) => {
    const port = await serve(start, kind);
    const sidecar = await sidecarOf({ outbound: [{ forwardTo: `127.0.0.1:${port}`, expect: [mesh.id('app')] }] });
    expect(await callsOf(sidecar.outboundPort, hasFiles)).toBe(CALLS);
    const [upstream = {}] = (await sidecar.admin('/upstreams')) as readonly Settings[]; // what the interface answers
    expect(upstream['endpoints']).toMatchObject([{ protocol, total: { failures: 0 } }]);
    expect((upstream['connections'] as Settings)[protocol]).toBeLessThanOrEqual(connections); // the same
  });

  test.skipIf(isMissing)('as a workload that speaks HTTP/2 in the clear', async () => {
    const port = await serve(start, 'h2c');
    const sidecar = await sidecarOf({ inbound: [{ mtls: 'DISABLE', forwardTo: `h2c://127.0.0.1:${port}` }] });
    expect(await callsOf(sidecar.inboundPort, hasFiles)).toBe(CALLS);
  });
});

describe('a gRPC server behind two sidecars', () => {
  test('answers calls of every kind, over one connection between the sidecars', async () => {
    const app = keep(await startGrpcApp());
    const callee = await sidecarOf({ inbound: [{ mtls: 'STRICT', forwardTo: `h2c://127.0.0.1:${app.port}` }] });
    const caller = await sidecarOf({
      account: 'web',
      outbound: [{ forwardTo: `127.0.0.1:${callee.inboundPort}`, expect: [mesh.id('app')] }],
    });
    const client = grpcClient(caller.outboundPort, null);
    try {
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, i) => {
          const { promise, resolve, reject } = Promise.withResolvers<Answer | undefined>();
          const payload = seededBytes(i, i % 10 === 0 ? 500_000 : 100 * i);
          client.Unary({ payload }, new Metadata(), {}, (error, answer) => (error === null ? resolve(answer) : reject(error)));
          return promise.then((answer) => answer !== undefined && hashOf(answer.payload) === hashOf(payload));
        }),
      );
      expect(answers).toEqual(Array.from({ length: 50 }, () => true));
      const connections = (await callee.admin('/connections')) as readonly Settings[]; // what the interface answers
      expect(connections).toHaveLength(1);
    } finally {
      client.close();
    }
  });
});

/** Ten callers: documents, uploads, heads without bodies. Returns how many calls were answered as they should. */
async function callsOf(port: number, hasFiles: boolean): Promise<number> {
  let calls = 0;
  await Promise.all(
    Array.from({ length: 10 }, async (_, i) => {
      await using client = await plainClient(port);
      for (let round = 0; round < 3; round++) {
        const got = await client.ask(`GET /file HTTP/1.1\r\nHost: app.test\r\n\r\n`);
        expect([statusOf(got), ...valuesOf(got.fields, 'x-postern-reason')]).toEqual([200]);
        expect(hasFiles ? hashOf(got.body) : got.body.toString()).toBe(hasFiles ? FILE_HASH : 'here');
        const head = await client.ask('HEAD /file HTTP/1.1\r\nHost: app.test\r\n\r\n');
        expect([statusOf(head), head.body.length]).toEqual([200, 0]);
        // Whoever answers by itself does not wait for a long one.
        const body = seededBytes(i, hasFiles ? 100_000 : 10);
        const post = await client.ask(
          Buffer.concat([Buffer.from(`POST /upload HTTP/1.1\r\nHost: app.test\r\nContent-Length: ${body.length}\r\n\r\n`), body]),
        );
        expect(statusOf(post)).toBe(200);
        expect(statusOf(await client.ask('GET /none HTTP/1.1\r\nHost: app.test\r\n\r\n'))).toBe(404);
        calls += 4;
      }
    }),
  );
  return calls;
}

async function startNginx(folder: string, port: number, kind: Kind): Promise<void> {
  const listen = { 'tls-h2': 'ssl http2', 'tls-h1': 'ssl', h2c: 'http2' }[kind];
  const tls = `ssl_certificate ${folder}/app.pem; ssl_certificate_key ${folder}/app.key; ssl_client_certificate ${folder}/ca.pem;
    ssl_verify_client on; ssl_verify_depth 3; ssl_protocols TLSv1.3;`;
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 512; }
http {
  access_log off; client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder}; uwsgi_temp_path ${folder};
  scgi_temp_path ${folder}; client_max_body_size 10m;
  server {
    listen 127.0.0.1:${port} ${listen};
    ${kind === 'h2c' ? '' : tls}
    location /file { root ${folder}; }
    location /upload { proxy_pass http://unix:${folder}/here.sock; }
    location / { return 404; }
  }
  server { listen unix:${folder}/here.sock; location / { return 200 here; } }
}
`,
  );
  await running('nginx', ['-c', join(folder, 'nginx.conf'), '-p', folder], port);
}

async function startHaproxy(folder: string, port: number, kind: Kind): Promise<void> {
  const tls = `ssl crt ${folder}/app-and-key.pem ca-file ${folder}/ca.pem verify required ssl-min-ver TLSv1.3`;
  const bind = { 'tls-h2': `${tls} alpn h2,http/1.1`, 'tls-h1': `${tls} alpn http/1.1`, h2c: 'proto h2' }[kind];
  writeFileSync(
    join(folder, 'haproxy.cfg'),
    `defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend f
  bind 127.0.0.1:${port} ${bind}
  http-request wait-for-body time 5s if METH_POST
  http-request return status 404 if { path /none }
  http-request return status 200 content-type text/plain string here
`,
  );
  await running('haproxy', ['-f', join(folder, 'haproxy.cfg'), '-db'], port);
}

/** Filter chains as Istio's inbound listeners have them: what a client offers says whether it is HTTP of the mesh. */
async function startEnvoy(folder: string, port: number, kind: Kind): Promise<void> {
  const http = {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      stat_prefix: 'app',
      codec_type: kind === 'h2c' ? 'HTTP2' : 'AUTO',
      route_config: {
        virtual_hosts: [
          {
            name: 'all',
            domains: ['*'],
            routes: [
              { match: { path: '/none' }, direct_response: { status: 404 } },
              { match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'here' } } },
            ],
          },
        ],
      },
      http_filters: [
        {
          name: 'envoy.filters.http.router',
          typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
        },
      ],
    },
  };
  const tls = {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
      require_client_certificate: true,
      common_tls_context: {
        alpn_protocols: kind === 'tls-h2' ? ['h2', 'http/1.1'] : ['http/1.1'],
        tls_certificates: [
          { certificate_chain: { filename: `${folder}/app.pem` }, private_key: { filename: `${folder}/app.key` } },
        ],
        validation_context: { trusted_ca: { filename: `${folder}/ca.pem` } },
        tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
      },
    },
  };
  const meshHttp = ['istio-http/1.0', 'istio-http/1.1', 'istio-h2'];
  const chains =
    kind === 'h2c'
      ? [{ filters: [http] }]
      : [
          {
            filter_chain_match: { transport_protocol: 'tls', application_protocols: meshHttp },
            filters: [http],
            transport_socket: tls,
          },
          // Raw TCP of the mesh, and TLS of anybody else: taken for HTTP by nobody.
          {
            filter_chain_match: { transport_protocol: 'tls', application_protocols: ['istio-peer-exchange', 'istio'] },
            filters: [
              {
                name: 'envoy.filters.network.direct_response',
                typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.network.direct_response.v3.Config' },
              },
            ],
            transport_socket: tls,
          },
        ];
  const bootstrap = {
    static_resources: {
      listeners: [
        {
          name: 'app',
          address: { socket_address: { address: '127.0.0.1', port_value: port } },
          listener_filters: [
            {
              name: 'envoy.filters.listener.tls_inspector',
              typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector' },
            },
          ],
          filter_chains: chains,
        },
      ],
    },
  };
  writeFileSync(join(folder, 'envoy.json'), JSON.stringify(bootstrap));
  const args = ['-c', join(folder, 'envoy.json'), '--concurrency', '1', '--use-dynamic-base-id', '-l', 'warn'];
  await running('envoy', args, port);
}

async function running(name: string, args: readonly string[], port: number): Promise<void> {
  const child = startProcess(requirePeer(name), args);
  keep({ [Symbol.asyncDispose]: () => child.end().then(() => {}) });
  await child.waitForPort(port, 20_000);
}

async function serve(start: Server['start'], kind: Kind): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-server-'));
  keep({ [Symbol.asyncDispose]: () => Promise.resolve(rmSync(folder, { recursive: true, force: true })) });
  const { certificatePem, keyPem } = mesh.svid('app');
  writeFileSync(join(folder, 'app.pem'), certificatePem);
  writeFileSync(join(folder, 'app.key'), keyPem, { mode: 0o600 });
  writeFileSync(join(folder, 'app-and-key.pem'), `${certificatePem}${keyPem}`, { mode: 0o600 });
  writeFileSync(join(folder, 'ca.pem'), mesh.bundlePem);
  writeFileSync(join(folder, 'file'), FILE);
  const port = await freePort();
  await start(folder, port, kind);
  return port;
}

async function sidecarOf(options: {
  account?: string;
  inbound?: readonly Settings[];
  outbound?: readonly Settings[];
}): Promise<Sidecar> {
  return keep(await startSidecar({ mesh, ...options }));
}

function keep<T extends AsyncDisposable>(each: T): T {
  disposables.push(each);
  return each;
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
