/**
 * Envoy as Istio runs a sidecar, without tracing and Istio's own stats and metadata filters (the real thing is dearer): SPIFFE
 * validator, XFCC, RBAC, request id, JSON access log, one worker.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { findProgram } from '../processes.ts';
import { toEnvoyRbac, TRUST_DOMAIN } from '../policy-set.ts';
import { asPair, type Launch, type Stage, type Target } from './target.ts';

export const envoy: Target = {
  name: 'envoy',
  about: 'SPIFFE validator, XFCC, RBAC filter, request id, JSON access log (12 fields, buffered), concurrency 1',
  jobs: ['http1', 'http2', 'grpc', 'tcp', 'pair'],
  missing: () => (findProgram('envoy') === null ? 'envoy is not installed' : null),
  version: () => /version: \S+?\/(\S+?)\//.exec(execFileSync(program(), ['--version'], { encoding: 'utf8' }))?.[1] ?? '',
  prepare(stage: Stage): Launch {
    const accessLog = `${stage.folder}/access.log`;
    const isPair = stage.job === 'pair';
    const sidecar = run(stage, 'envoy', bootstrap(stage, isPair ? stage.peerPort : stage.port, accessLog));
    const first = `${stage.folder}/first.log`;
    const command = isPair ? asPair(run(stage, 'first', firstBootstrap(stage, first)), sidecar) : sidecar;
    return { command, env: {}, port: stage.port, readyUrls: [], output: `${stage.folder}/output.log`, accessLog };
  },
};

function run(stage: Stage, name: string, configuration: object): string[] {
  const file = `${stage.folder}/${name}.json`;
  writeFileSync(file, JSON.stringify(configuration));
  return [program(), '-c', file, '--concurrency', '1', '--use-dynamic-base-id', '-l', 'warn'];
}

function bootstrap(stage: Stage, port: number, accessLog: string): object {
  const filter = stage.job === 'tcp' ? tcpProxy(accessLog) : connectionManager(stage, accessLog);
  const chain = { filters: [filter], transport_socket: transportSocket(stage) };
  return resources(port, chain, cluster(stage.upstreamPort, stage.job === 'grpc' ? HTTP2_ONLY : {}));
}

/** The first of a pair: from the local app to the peer, whose identity it proves. */
function firstBootstrap(stage: Stage, accessLog: string): object {
  const { certificates } = stage;
  const caller = certificates.callers[0] ?? certificates.server;
  const tls = {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': type('transport_sockets.tls.v3.UpstreamTlsContext'),
      common_tls_context: {
        alpn_protocols: ['h2'],
        tls_params: TLS_1_3,
        tls_certificates: [{ certificate_chain: { filename: caller.certificate }, private_key: { filename: caller.key } }],
        validation_context: {
          trusted_ca: { filename: certificates.bundle },
          match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: certificates.server.spiffeId } }],
        },
      },
    },
  };
  const manager = httpManager('outbound', accessLog, [], {});
  return resources(stage.port, { filters: [manager] }, cluster(stage.peerPort, { ...HTTP2_ONLY, transport_socket: tls }));
}

function resources(port: number, chain: object, app: object): object {
  return {
    static_resources: { listeners: [{ name: 'sidecar', address: address(port), filter_chains: [chain] }], clusters: [app] },
  };
}

function cluster(port: number, more: object): object {
  return {
    name: 'app',
    type: 'STATIC',
    connect_timeout: '5s',
    load_assignment: { cluster_name: 'app', endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }] },
    circuit_breakers: { thresholds: [{ max_connections: 1e6, max_pending_requests: 1e6, max_requests: 1e6 }] },
    ...more,
  };
}

function tcpProxy(accessLog: string): object {
  return {
    name: 'envoy.filters.network.tcp_proxy',
    typed_config: {
      '@type': type('filters.network.tcp_proxy.v3.TcpProxy'),
      stat_prefix: 'inbound',
      cluster: 'app',
      access_log: [jsonLog(accessLog)],
    },
  };
}

function connectionManager(stage: Stage, accessLog: string): object {
  const rbac = {
    name: 'envoy.filters.http.rbac',
    typed_config: { '@type': type('filters.http.rbac.v3.RBAC'), rules: toEnvoyRbac(stage.rules) },
  };
  return httpManager('inbound', accessLog, [rbac], {
    // The caller is not a trusted forwarder: its own copy is replaced.
    forward_client_cert_details: 'SANITIZE_SET',
    set_current_client_cert_details: { subject: true, uri: true },
    use_remote_address: true,
  });
}

function httpManager(name: string, accessLog: string, filters: readonly object[], more: object): object {
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': type('filters.network.http_connection_manager.v3.HttpConnectionManager'),
      stat_prefix: name,
      codec_type: 'AUTO',
      generate_request_id: true,
      normalize_path: true,
      stream_idle_timeout: '0s',
      common_http_protocol_options: { idle_timeout: '3600s' },
      ...more,
      access_log: [jsonLog(accessLog)],
      http_filters: [
        ...filters,
        { name: 'envoy.filters.http.router', typed_config: { '@type': type('filters.http.router.v3.Router') } },
      ],
      route_config: {
        name: 'inbound',
        virtual_hosts: [
          { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'app', timeout: '0s' } }] },
        ],
      },
    },
  };
}

function transportSocket({ certificates }: Stage): object {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': type('transport_sockets.tls.v3.DownstreamTlsContext'),
      require_client_certificate: true,
      disable_stateless_session_resumption: true,
      disable_stateful_session_resumption: true,
      common_tls_context: {
        alpn_protocols: ['h2', 'http/1.1'],
        tls_params: TLS_1_3,
        tls_certificates: [
          {
            certificate_chain: { filename: certificates.server.certificate },
            private_key: { filename: certificates.server.key },
          },
        ],
        validation_context: {
          custom_validator_config: {
            name: 'envoy.tls.cert_validator.spiffe',
            typed_config: {
              '@type': type('transport_sockets.tls.v3.SPIFFECertValidatorConfig'),
              trust_domains: [{ name: TRUST_DOMAIN, trust_bundle: { filename: certificates.bundle } }],
            },
          },
        },
      },
    },
  };
}

function jsonLog(path: string): object {
  return {
    name: 'envoy.access_loggers.file',
    typed_config: {
      '@type': type('access_loggers.file.v3.FileAccessLog'),
      path,
      log_format: {
        json_format: {
          start_time: '%START_TIME%',
          method: '%REQ(:METHOD)%',
          path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
          authority: '%REQ(:AUTHORITY)%',
          protocol: '%PROTOCOL%',
          response_code: '%RESPONSE_CODE%',
          bytes_sent: '%BYTES_SENT%',
          duration: '%DURATION%',
          peer: '%DOWNSTREAM_PEER_URI_SAN%',
          user_agent: '%REQ(USER-AGENT)%',
          upstream_host: '%UPSTREAM_HOST%',
          request_id: '%REQ(X-REQUEST-ID)%',
        },
      },
    },
  };
}

const TLS_1_3 = { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' };
const HTTP2_ONLY = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
};

function address(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

function type(name: string): string {
  return `type.googleapis.com/envoy.extensions.${name}`;
}

function program(): string {
  return findProgram('envoy') ?? 'envoy';
}
