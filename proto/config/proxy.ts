/**
 * A sidecar's configuration as the data process gets it: validated, defaulted, every path absolute. Written from `kind: Proxy`
 * by proto/config/read.ts in another process, so that the data process loads neither a YAML reader nor a schema.
 */

/** A TCP address; `host` is an IP literal or a name, without brackets. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Where a listener binds: TCP, or a Unix socket made with mode 0600. */
export type ListenAddress = HostPort | { readonly socket: string };

export type MtlsMode = 'STRICT' | 'DISABLE';
export type PathPolicy = 'none' | 'base' | 'merge-slashes' | 'decode-and-merge' | 'strict';
export type UnderscorePolicy = 'allow' | 'drop' | 'reject';

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
}

export interface InboundConfig {
  readonly listen: ListenAddress;
  readonly mtls: MtlsMode;
  readonly forwardTo: HostPort;
  /** The port that policy sees. */
  readonly workloadPort: number;
  readonly pathPolicy: PathPolicy;
  readonly underscores: UnderscorePolicy;
  readonly requireAlpn: boolean;
}

export interface OutboundConfig {
  readonly listen: ListenAddress;
  readonly forwardTo: HostPort;
  /** SPIFFE IDs that the peer may have; never empty. */
  readonly expect: readonly string[];
  /** Server name of the ClientHello, or null for none. */
  readonly sni: string | null;
  /** Uids whose processes may connect; null lets every local process. */
  readonly allowUids: readonly number[] | null;
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
    };
  };
  readonly inbound: readonly InboundConfig[];
  readonly outbound: readonly OutboundConfig[];
  readonly policies: {
    /** Files and folders, absolute; empty is no source. */
    readonly files: readonly string[];
    readonly allowAll: boolean;
    readonly allowEmpty: boolean;
    readonly whenNoneSelects: 'allow' | 'deny';
    readonly rootNamespace: string;
  };
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
