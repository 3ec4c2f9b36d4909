/** Envoy as a sidecar is configured for raw TCP by Istio, on either side of ours: ALPN `istio`, SPIFFE identities, half-close. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { freePort } from '#test/support/free-port.ts';
import { peer, requirePeer } from '#test/support/peers.ts';
import { startProcess, type TestProcess } from '#test/support/processes.ts';
import { policyYaml, startSidecar } from '#test/support/sidecar.ts';
import { keep, mesh } from '#test/support/sidecar-pair.ts';
import { startTcpApp, tcpClient, type TcpApp } from '#test/support/tcp-app.ts';

const TYPE = 'type.googleapis.com/envoy.extensions';

describe.skipIf(peer('envoy') === null)('Envoy', { timeout: 90_000 }, () => {
  let folder = '';
  let app: TcpApp;
  let envoy: TestProcess;
  /** Envoy's plain listener that leads to our mutual TLS, and its mutual TLS one that leads to the app. */
  const ports = { out: 0, in: 0, ours: 0 };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'envoy-tcp-'));
    const { certificatePem, keyPem } = mesh.svid('envoy');
    writeFileSync(join(folder, 'chain.pem'), certificatePem);
    writeFileSync(join(folder, 'key.pem'), keyPem);
    writeFileSync(join(folder, 'ca.pem'), mesh.bundlePem);
    // Says how much it got once the caller has ended its direction.
    app = await startTcpApp((connection) => {
      connection.socket.on('end', () => connection.socket.end(`got ${connection.bytes}`));
    });
    for (const name of ['out', 'in', 'ours'] as const) ports[name] = await freePort();
    writeFileSync(join(folder, 'envoy.json'), JSON.stringify(configuration()));
    envoy = startProcess(requirePeer('envoy'), [
      '-c',
      join(folder, 'envoy.json'),
      '--concurrency',
      '1',
      '--use-dynamic-base-id',
      '-l',
      'warning',
    ]);
    await envoy.waitForPort(ports.out, 60_000);
  }, 90_000);

  afterAll(async () => {
    await envoy.end();
    await app[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  function configuration(): object {
    const file = (name: string): object => ({ filename: join(folder, name) });
    const common = {
      tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
      tls_certificates: [{ certificate_chain: file('chain.pem'), private_key: file('key.pem') }],
      validation_context: { trusted_ca: file('ca.pem') },
    };
    const address = (port: number): object => ({ socket_address: { address: '127.0.0.1', port_value: port } });
    const cluster = (name: string, port: number, more: object): object => ({
      name,
      type: 'STATIC',
      connect_timeout: '5s',
      load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }] },
      ...more,
    });
    const proxyTo = (name: string): object => ({
      name: 'tcp',
      typed_config: { '@type': `${TYPE}.filters.network.tcp_proxy.v3.TcpProxy`, stat_prefix: name, cluster: name },
    });
    return {
      static_resources: {
        listeners: [
          { name: 'out', address: address(ports.out), filter_chains: [{ filters: [proxyTo('ours')] }] },
          {
            name: 'in',
            address: address(ports.in),
            filter_chains: [
              {
                filters: [proxyTo('app')],
                transport_socket: {
                  name: 'tls',
                  typed_config: {
                    '@type': `${TYPE}.transport_sockets.tls.v3.DownstreamTlsContext`,
                    require_client_certificate: true,
                    // As Istio's for TCP, without the exchange of metadata.
                    common_tls_context: { ...common, alpn_protocols: ['istio-peer-exchange', 'h2', 'http/1.1', 'istio'] },
                  },
                },
              },
            ],
          },
        ],
        clusters: [
          cluster('app', app.port, {}),
          cluster('ours', ports.ours, {
            transport_socket: {
              name: 'tls',
              typed_config: {
                '@type': `${TYPE}.transport_sockets.tls.v3.UpstreamTlsContext`,
                sni: 'outbound_.5432_._.db.test.svc.cluster.local',
                common_tls_context: { ...common, alpn_protocols: ['istio-peer-exchange', 'istio'] },
              },
            },
          }),
        ],
      },
    };
  }

  async function exchangeOver(port: number): Promise<string> {
    await using client = await tcpClient(port);
    client.socket.end(Buffer.concat([Buffer.from([0, 0]), Buffer.alloc(2_000_000, 'x')]));
    await client.over(30_000);
    return `${client.text} ${client.end}`;
  }

  test.each([{ mtls: 'STRICT' }, { mtls: 'PERMISSIVE' }])(
    'as caller reaches the app through a $mtls port by its identity and server name',
    async ({ mtls }) => {
      const policies = {
        'p.yaml': policyYaml('p', {
          rules: [
            {
              from: [{ source: { principals: ['cluster.local/ns/test/sa/envoy'] } }],
              when: [{ key: 'connection.sni', values: ['outbound_.5432_._.db.test.svc.cluster.local'] }],
            },
          ],
        }),
      };
      await using sidecar = await startSidecar({
        mesh,
        policies,
        inbound: [{ mtls, listen: `127.0.0.1:${ports.ours}`, forwardTo: `127.0.0.1:${app.port}` }],
      });
      expect(await exchangeOver(ports.out)).toBe('got 2000002 fin');
      expect(await sidecar.logged((line) => line['close_reason'] !== undefined)).toMatchObject({
        source_principal: mesh.id('envoy'),
        requested_server_name: 'outbound_.5432_._.db.test.svc.cluster.local',
        connection_security_policy: 'mutual_tls',
        bytes_received: 2_000_002,
        decision: 'allow',
      });
    },
  );

  test('as callee takes raw TCP from our outbound side', async () => {
    const sidecar = keep(
      await startSidecar({
        mesh,
        account: 'web',
        outbound: [{ forwardTo: `127.0.0.1:${ports.in}`, expect: [mesh.id('envoy')] }],
      }),
    );
    expect(await exchangeOver(sidecar.outboundPort)).toBe('got 2000002 fin');
    expect(await sidecar.logged((line) => line['close_reason'] !== undefined)).toMatchObject({
      destination_principal: mesh.id('envoy'),
      upstream_host: `127.0.0.1:${ports.in}`,
      verdict: 'forwarded',
    });
  });
});
