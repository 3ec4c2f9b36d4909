/** A real Envoy that asks an ext_authz server as the sidecar of an Istio workload does: mutual TLS, XFCC, BASE normalisation. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort } from './free-port.ts';
import { requirePeer } from './peers.ts';
import { startProcess, type TestProcess } from './processes.ts';
import { mesh } from './sidecar-pair.ts';

export class EnvoySidecar implements AsyncDisposable {
  readonly port: number;
  readonly #process: TestProcess;
  readonly #folder: string;

  constructor(port: number, process: TestProcess, folder: string) {
    this.port = port;
    this.#process = process;
    this.#folder = folder;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.end();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export interface EnvoySidecarOptions {
  /** The application's port. */
  readonly app: number;
  /** The authorizer's. */
  readonly authorizer: number;
  /** The ext_authz filter's settings but for where the server is. */
  readonly filter: object;
  readonly isHttp?: boolean;
}

export async function startEnvoySidecar(options: EnvoySidecarOptions): Promise<EnvoySidecar> {
  const folder = mkdtempSync(join(tmpdir(), 'envoy-ext-authz-'));
  const { certificatePem, keyPem } = mesh.svid('app');
  writeFileSync(join(folder, 'chain.pem'), certificatePem);
  writeFileSync(join(folder, 'key.pem'), keyPem, { mode: 0o600 });
  writeFileSync(join(folder, 'ca.pem'), mesh.bundlePem);
  const port = await freePort();
  writeFileSync(join(folder, 'envoy.json'), JSON.stringify(configuration(folder, port, options)));
  const args = ['-c', join(folder, 'envoy.json'), '--concurrency', '1', '--use-dynamic-base-id', '-l', 'warning'];
  const process = startProcess(requirePeer('envoy'), args);
  await process.waitForPort(port, 60_000);
  return new EnvoySidecar(port, process, folder);
}

function configuration(folder: string, port: number, { app, authorizer, filter, isHttp = false }: EnvoySidecarOptions): object {
  const file = (name: string): object => ({ filename: join(folder, name) });
  const address = (at: number): object => ({ socket_address: { address: '127.0.0.1', port_value: at } });
  const cluster = (name: string, at: number, more: object): object => ({
    name,
    type: 'STATIC',
    connect_timeout: '5s',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: address(at) } }] }] },
    ...more,
  });
  const http2 = {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${TYPE}.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
  const manager = {
    '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'in',
    normalize_path: true,
    use_remote_address: false,
    forward_client_cert_details: 'APPEND_FORWARD',
    set_current_client_cert_details: { subject: true, dns: true, uri: true },
    route_config: {
      virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'app' } }] }],
    },
    http_filters: [
      {
        name: 'authz',
        typed_config: { '@type': `${TYPE}.filters.http.ext_authz.v3.ExtAuthz`, transport_api_version: 'V3', ...filter },
      },
      { name: 'router', typed_config: { '@type': `${TYPE}.filters.http.router.v3.Router` } },
    ],
  };
  return {
    static_resources: {
      listeners: [
        {
          name: 'in',
          address: address(port),
          filter_chains: [
            {
              filters: [{ name: 'http', typed_config: manager }],
              transport_socket: {
                name: 'tls',
                typed_config: {
                  '@type': `${TYPE}.transport_sockets.tls.v3.DownstreamTlsContext`,
                  require_client_certificate: true,
                  common_tls_context: {
                    tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
                    tls_certificates: [{ certificate_chain: file('chain.pem'), private_key: file('key.pem') }],
                    validation_context: { trusted_ca: file('ca.pem') },
                    alpn_protocols: ['h2', 'http/1.1'],
                  },
                },
              },
            },
          ],
        },
      ],
      clusters: [cluster('app', app, {}), cluster('authz', authorizer, isHttp ? {} : http2)],
    },
  };
}

const TYPE = 'type.googleapis.com/envoy.extensions';
