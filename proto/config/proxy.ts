/**
 * A sidecar's configuration as the data process gets it: validated, defaulted, every path absolute. Written from `kind: Proxy`
 * by proto/config/read.ts in another process, so that the data process loads neither a YAML reader nor a schema.
 */

import type { H2Limits } from '#wire/h2/limits.ts';
import type { AuthorizerConfig } from './authorizers.ts';

/** A TCP address; `host` is an IP literal or a name, without brackets. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Where a listener binds: TCP, or a Unix socket made with mode 0600. */
export type ListenAddress = HostPort | { readonly socket: string };

/**
 * `STRICT` takes mutual TLS only. `PERMISSIVE` takes plaintext as well, and lets TLS that is not the mesh's pass as raw TCP.
 * `DISABLE` takes plaintext only.
 */
export type MtlsMode = 'STRICT' | 'PERMISSIVE' | 'DISABLE';

/**
 * What a port speaks. `auto` looks at the first bytes; `http` is HTTP/1.1 or HTTP/2, whichever comes; `grpc` is HTTP/2; `tcp`
 * looks at nothing, so that the server may speak first.
 */
export type PortProtocol = 'auto' | 'http' | 'http1' | 'http2' | 'grpc' | 'tcp';

/** In which version of HTTP a workload is spoken to; raw TCP goes as it comes. */
export type UpstreamProtocol = 'http1' | 'http2';
export type PathPolicy = 'none' | 'base' | 'merge-slashes' | 'decode-and-merge' | 'strict';
export type UnderscorePolicy = 'allow' | 'drop' | 'reject';

/** Limits of one HTTP/2 session, counts over `windowMs`: the settings of wire/h2/limits.ts, and what is said of them there. */
export type Http2Limits = H2Limits;

export interface ProxyLimits {
  readonly headBytes: number;
  readonly fields: number;
  readonly connections: number;
  readonly connectionsPerIdentity: number;
  readonly pendingHandshakes: number;
  /** Idle upstream connections that one process keeps, over all pools. */
  readonly idleUpstreamConnections: number;
  readonly informationalResponses: number;
  readonly requestsPerConnection: number;
  /** Most bytes of one gRPC message, by its prefix; 0 is none. */
  readonly grpcMessageBytes: number;
  readonly http2: Http2Limits;
}

export interface ProxyTimeouts {
  readonly handshakeMs: number;
  readonly headMs: number;
  /** Silence within a request body. */
  readonly bodyIdleMs: number;
  /** Silence between requests of one connection. */
  readonly idleMs: number;
  readonly connectMs: number;
  /** From the last byte of a request to the response's head. */
  readonly responseMs: number;
  /** After this an idle upstream connection is not used again; shorter than any app's keep-alive. */
  readonly upstreamIdleMs: number;
  /** Time that SIGTERM leaves to exchanges in flight. */
  readonly drainMs: number;
  /** Oldest age of a downstream connection, jittered; 0 is none. */
  readonly connectionAgeMs: number;
  /** From accept, or from the end of the handshake, to bytes that tell the protocol. */
  readonly detectMs: number;
  /** Silence in both directions of raw TCP; 0 is none. */
  readonly tcpIdleMs: number;
  /** The same of a WebSocket or an HBONE tunnel; 0 is none. */
  readonly tunnelIdleMs: number;
  /** Oldest age of a raw TCP connection, jittered; 0 is none. */
  readonly tcpAgeMs: number;
  /** From the head of a request to the end of its response, and the most that a `grpc-timeout` may ask for; 0 is none. */
  readonly requestMs: number;
  /** Silence of an HTTP/2 connection after which it is asked for a sign of life. */
  readonly keepAliveMs: number;
}

export interface InboundConfig {
  readonly listen: ListenAddress;
  readonly mtls: MtlsMode;
  readonly protocol: PortProtocol;
  /** CIDRs whose connections begin with a PROXY protocol header; empty is nobody. */
  readonly proxyProtocolFrom: readonly string[];
  readonly forwardTo: HostPort;
  readonly upstreamProtocol: UpstreamProtocol;
  /** The port that policy sees. */
  readonly workloadPort: number;
  readonly pathPolicy: PathPolicy;
  readonly underscores: UnderscorePolicy;
  readonly requireAlpn: boolean;
}

export interface OutboundConfig {
  readonly listen: ListenAddress;
  /** What the local app speaks. */
  readonly protocol: 'auto' | 'http' | 'tcp';
  /** The first endpoint; names the upstream. */
  readonly forwardTo: HostPort;
  /** Where the peer can be reached, all with the same expected identities; never empty. */
  readonly endpoints: readonly HostPort[];
  /** Whether HTTP/2 is offered to the peer. */
  readonly http2: 'prefer' | 'never';
  /** HTTP/2 connections to one endpoint. */
  readonly connectionsPerEndpoint: number;
  /** What a CONNECT to the endpoint's HBONE port names; null is no tunnel. */
  readonly hboneDestination: HostPort | null;
  readonly retries: RetryConfig;
  readonly outlier: OutlierConfig;
  readonly circuit: CircuitConfig;
  /** SPIFFE IDs that the peer may have; never empty. */
  readonly expect: readonly string[];
  /** Server name of the ClientHello, or null for none. */
  readonly sni: string | null;
  /** Uids whose processes may connect; null lets every local process. */
  readonly allowUids: readonly number[] | null;
}

export interface RetryConfig {
  /** Tries after the first one. */
  readonly attempts: number;
  /** Retries under way may be so many in a hundred requests under way, and always three. */
  readonly budgetPercent: number;
  /** Deadline of one try; 0 is that of the response. */
  readonly tryMs: number;
}

/** When an endpoint is left out for a while. */
export interface OutlierConfig {
  /** Failures in a row; 0 never ejects. */
  readonly consecutiveFailures: number;
  /** Time of the first ejection; it grows with each further one. */
  readonly ejectionMs: number;
  readonly maxEjectedPercent: number;
}

/** Beyond these a request fails at once instead of making things worse. */
export interface CircuitConfig {
  readonly connections: number;
  readonly pendingRequests: number;
  readonly requests: number;
}

/** A signed, compiled policy. */
export interface BundleConfig {
  readonly file: string;
  /** Files of the signers' public keys, PEM; never empty. */
  readonly keys: readonly string[];
  /** It ends so long after its beginning, whatever it says itself; 0 is no such bound. */
  readonly maxAgeMs: number;
}

/** Users' tokens. */
export interface TokenConfig {
  /** By how much clocks may differ. */
  readonly leewayMs: number;
  readonly keyRefreshMs: number;
  /** Age at which the last good key set counts no more. */
  readonly keyMaxAgeMs: number;
  /** Hosts that may serve key sets from private addresses, in lower case. */
  readonly privateHosts: readonly string[];
  /** File of certificate authorities (PEM) beside those of the runtime, or null. */
  readonly authorities: string | null;
}

export interface ProxyConfig {
  /** The file that it was read from, absolute. */
  readonly file: string;
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string | null;
  readonly identity: {
    readonly trustDomain: string;
    readonly trustDomainAliases: readonly string[];
    readonly files: {
      readonly certificate: string;
      readonly key: string;
      /** Bundle file by trust domain. */
      readonly bundles: Readonly<Record<string, string>>;
      /** File of certificate revocation lists by trust domain. */
      readonly revocationLists: Readonly<Record<string, string>>;
    };
  };
  readonly inbound: readonly InboundConfig[];
  readonly outbound: readonly OutboundConfig[];
  /** Where tunnels of the mesh end (HTTP CONNECT over mutual TLS); null is nowhere. */
  readonly hbone: {
    readonly listen: ListenAddress;
    /** Addresses that a tunnel may name; empty is those of this machine. */
    readonly addresses: readonly string[];
  } | null;
  /** Data processes that share the ports. */
  readonly concurrency: number;
  readonly policies: {
    /** Files and folders, absolute; empty is no source. */
    readonly files: readonly string[];
    /** In place of files, or null. */
    readonly bundle: BundleConfig | null;
    /** Folder, absolute, that keeps the last good policy over a restart; null keeps none. */
    readonly lastKnownGood: string | null;
    readonly allowAll: boolean;
    readonly allowEmpty: boolean;
    readonly whenNoneSelects: 'allow' | 'deny';
    readonly rootNamespace: string;
  };
  /** Who answers CUSTOM policies, each name once. */
  readonly authorizers: readonly AuthorizerConfig[];
  readonly tokens: TokenConfig;
  /** Peers whose forwarding fields are believed (SPIFFE IDs, CIDRs). */
  readonly trustedForwarders: readonly string[];
  readonly limits: ProxyLimits;
  readonly timeouts: ProxyTimeouts;
  readonly telemetry: {
    /** `-` is standard output; null is no log. */
    readonly accessLog: string | null;
    /** Flow records as JSON lines, or null. */
    readonly flows: string | null;
    readonly status: HostPort | null;
    /** Path of the admin socket, or null. */
    readonly admin: string | null;
  };
}
