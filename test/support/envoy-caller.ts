/**
 * A real Envoy that stands before a local app as another mesh's sidecar does: takes HTTP/1.1 and HTTP/2 in the clear and hands it to a
 * peer by HTTP/2 over mutual TLS, with Istio's names of protocols, proving the peer's SPIFFE ID.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort } from './free-port.ts';
import type { MeshIdentities } from './mesh-identities.ts';
import { requirePeer } from './peers.ts';
import { startProcess, type TestProcess } from './processes.ts';

export class EnvoyCaller implements AsyncDisposable {
  readonly port: number;
  readonly #process: TestProcess;
  readonly #folder: string;

  constructor(port: number, process: TestProcess, folder: string) {
    this.port = port;
    this.#process = process;
    this.#folder = folder;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.end('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Starts it as `account` before the peer at `peerPort` of loopback. */
export async function startEnvoyCaller(
  mesh: MeshIdentities,
  account: string,
  peerPort: number,
  expected: string,
): Promise<EnvoyCaller> {
  const folder = mkdtempSync(join(tmpdir(), 'envoy-caller-'));
  const port = await freePort();
  const { certificatePem, keyPem } = mesh.svid(account);
  writeFileSync(join(folder, 'cert.pem'), certificatePem);
  writeFileSync(join(folder, 'key.pem'), keyPem, { mode: 0o600 });
  writeFileSync(join(folder, 'ca.pem'), mesh.bundlePem);
  const file = join(folder, 'envoy.json');
  writeFileSync(file, JSON.stringify(bootstrap(folder, port, peerPort, expected)));
  const process = startProcess(requirePeer('envoy'), ['-c', file, '--concurrency', '1', '--use-dynamic-base-id', '-l', 'warn']);
  await process.waitForPort(port, 20_000);
  return new EnvoyCaller(port, process, folder);
}

function bootstrap(folder: string, port: number, peerPort: number, expected: string): object {
  const manager = {
    '@type': type('filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'local',
    codec_type: 'AUTO',
    http_filters: [{ name: 'envoy.filters.http.router', typed_config: { '@type': type('filters.http.router.v3.Router') } }],
    route_config: {
      virtual_hosts: [
        { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'peer', timeout: '0s' } }] },
      ],
    },
  };
  const tls = {
    '@type': type('transport_sockets.tls.v3.UpstreamTlsContext'),
    common_tls_context: {
      alpn_protocols: ['istio-h2', 'istio', 'h2'],
      tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
      tls_certificates: [
        { certificate_chain: { filename: join(folder, 'cert.pem') }, private_key: { filename: join(folder, 'key.pem') } },
      ],
      validation_context: {
        trusted_ca: { filename: join(folder, 'ca.pem') },
        match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: expected } }],
      },
    },
  };
  const peer = {
    name: 'peer',
    type: 'STATIC',
    connect_timeout: '5s',
    load_assignment: { cluster_name: 'peer', endpoints: [{ lb_endpoints: [{ endpoint: { address: address(peerPort) } }] }] },
    transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: tls },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': type('upstreams.http.v3.HttpProtocolOptions'),
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
  const filters = [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }];
  return { static_resources: { listeners: [{ address: address(port), filter_chains: [{ filters }] }], clusters: [peer] } };
}

function address(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

function type(name: string): string {
  return `type.googleapis.com/envoy.extensions.${name}`;
}
