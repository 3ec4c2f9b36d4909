/**
 * Envoy as Istio runs a sidecar, without tracing and Istio's own stats and metadata filters (the real thing is dearer): SPIFFE
 * validator, XFCC, RBAC, request id, JSON access log, one worker.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { findProgram } from '../processes.ts';
import { toEnvoyRbac, TRUST_DOMAIN } from '../policy-set.ts';
import type { Launch, Stage, Target } from './target.ts';

export const envoy: Target = {
  name: 'envoy',
  about: 'SPIFFE validator, XFCC, RBAC filter, request id, JSON access log (12 fields, buffered), concurrency 1',
  missing: () => (findProgram('envoy') === null ? 'envoy is not installed' : null),
  version: () => /version: \S+?\/(\S+?)\//.exec(execFileSync(program(), ['--version'], { encoding: 'utf8' }))?.[1] ?? '',
  prepare(stage: Stage): Launch {
    const accessLog = `${stage.folder}/access.log`;
    const file = `${stage.folder}/envoy.json`;
    writeFileSync(file, JSON.stringify(bootstrap(stage, accessLog)));
    const command = [program(), '-c', file, '--concurrency', '1', '--use-dynamic-base-id', '-l', 'warn'];
    return { command, env: {}, port: stage.port, readyUrl: null, output: `${stage.folder}/output.log`, accessLog };
  },
};

function bootstrap(stage: Stage, accessLog: string): object {
  return {
    static_resources: {
      listeners: [
        {
          name: 'inbound',
          address: address(stage.port),
          filter_chains: [{ filters: [connectionManager(stage, accessLog)], transport_socket: transportSocket(stage) }],
        },
      ],
      clusters: [
        {
          name: 'app',
          type: 'STATIC',
          connect_timeout: '5s',
          load_assignment: {
            cluster_name: 'app',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(stage.upstreamPort) } }] }],
          },
          circuit_breakers: { thresholds: [{ max_connections: 1e6, max_pending_requests: 1e6, max_requests: 1e6 }] },
        },
      ],
    },
  };
}

function connectionManager(stage: Stage, accessLog: string): object {
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': type('filters.network.http_connection_manager.v3.HttpConnectionManager'),
      stat_prefix: 'inbound',
      codec_type: 'AUTO',
      generate_request_id: true,
      use_remote_address: true,
      normalize_path: true,
      stream_idle_timeout: '0s',
      common_http_protocol_options: { idle_timeout: '3600s' },
      // The caller is not a trusted forwarder: its own copy is replaced.
      forward_client_cert_details: 'SANITIZE_SET',
      set_current_client_cert_details: { subject: true, uri: true },
      access_log: [jsonLog(accessLog)],
      http_filters: [
        {
          name: 'envoy.filters.http.rbac',
          typed_config: { '@type': type('filters.http.rbac.v3.RBAC'), rules: toEnvoyRbac(stage.rules) },
        },
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
        tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
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

function address(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

function type(name: string): string {
  return `type.googleapis.com/envoy.extensions.${name}`;
}

function program(): string {
  return findProgram('envoy') ?? 'envoy';
}
