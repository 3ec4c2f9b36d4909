/** External authorizers as the data process gets them: who answers for the CUSTOM policies that name it, and how it is asked. */
import type { HostPort } from './proxy.ts';

interface AnyAuthorizer {
  /** As `provider.name` of a CUSTOM policy. */
  readonly name: string;
  /** From the question to its answer. */
  readonly timeoutMs: number;
  /** Questions under way; one more is a denial. */
  readonly concurrency: number;
  /** Whether no answer lets the request pass; never so for a policy of OPA's. */
  readonly failOpen: boolean;
  /** Status of the denial when there is no answer. */
  readonly statusOnError: number;
  /** What of the body is asked about; null for nothing. */
  readonly body: { readonly maxBytes: number; readonly isRaw: boolean } | null;
}

/** Envoy's `envoy.service.auth.v3.Authorization/Check`, over HTTP/2 in the clear to this machine. */
export interface GrpcAuthorizer extends AnyAuthorizer {
  readonly kind: 'grpc';
  readonly address: HostPort;
}

/** Envoy's HTTP flavour: the request without its body, 200 allows. Lists hold names in lower case, with `*` at one end. */
export interface HttpAuthorizer extends AnyAuthorizer {
  readonly kind: 'http';
  readonly address: HostPort;
  readonly pathPrefix: string;
  readonly requestHeaders: readonly string[];
  readonly additionalHeaders: Readonly<Record<string, string>>;
  readonly upstreamOnAllow: readonly string[];
  readonly downstreamOnAllow: readonly string[];
  /** Empty is every header. */
  readonly downstreamOnDeny: readonly string[];
}

/** A policy of OPA's, evaluated in a thread of this process. */
export interface OpaAuthorizer extends AnyAuthorizer {
  readonly kind: 'opa';
  readonly source: OpaBundleFile | OpaBundleServer;
  /** Null takes bundles unsigned. */
  readonly verification: OpaVerification | null;
  /** Path of the rule with slashes; null for the bundle's default. */
  readonly entrypoint: string | null;
  readonly limits: { readonly fuel: number; readonly memoryBytes: number; readonly inputBytes: number };
  /** Files of decision log events and status documents, one JSON object a line; null writes none. */
  readonly decisionLog: string | null;
  readonly statusLog: string | null;
  /** JSON pointers of what decision log events leave out. */
  readonly erase: readonly string[];
}

export interface OpaBundleFile {
  readonly file: string;
}

export interface OpaBundleServer {
  readonly url: string;
  readonly tokenFile: string | null;
  readonly caFile: string | null;
  /** Where the last good bundle is kept; null keeps none. */
  readonly cache: string | null;
  readonly intervalMs: number;
  /** How long the server may hold its answer back; 0 is no long poll. */
  readonly longPollSeconds: number;
}

export interface OpaVerification {
  readonly keyFile: string;
  readonly keyId: string;
  readonly algorithm: string;
  readonly scope: string | null;
}

export type AuthorizerConfig = GrpcAuthorizer | HttpAuthorizer | OpaAuthorizer;
