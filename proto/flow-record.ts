/**
 * What is kept of an exchange for later: enough to judge it again under another policy, to draw the dependency graph and to
 * audit. Written as JSON lines. Version 1; fields are added, never renamed, and a reader skips a `schema` that it does not know.
 */

export const FLOW_SCHEMA = 'postern.flow/v1';

export interface FlowRecord {
  readonly schema: typeof FLOW_SCHEMA;
  /** RFC 3339, UTC, arrival of the request's head. */
  readonly at: string;
  readonly decisionId: string | null;
  readonly requestId: string | null;
  readonly traceparent: string | null;
  readonly direction: 'inbound' | 'outbound';
  /** Who called, as verified at the time. */
  readonly source: {
    readonly principal: string | null;
    readonly ip: string;
    readonly remoteIp: string;
  };
  /** The workload whose sidecar this is, with the labels that policies selected it by. */
  readonly destination: {
    readonly principal: string | null;
    readonly namespace: string;
    readonly workload: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly ip: string;
    readonly port: number;
  };
  readonly connection: {
    readonly protocol: 'http' | 'http2' | 'grpc' | 'tcp';
    readonly tls: boolean;
    readonly sni: string | null;
  };
  /** Null for raw TCP and for what was refused before it was a request. */
  readonly request: {
    readonly method: string;
    readonly authority: string;
    /** Canonical, without query. */
    readonly path: string;
    /** The fields that the policy read, and no others; credentials as `sha256:…` of the value. */
    readonly fields: readonly (readonly [string, string])[];
  } | null;
  readonly decision: {
    readonly effect: 'allow' | 'deny';
    readonly code: string;
    readonly policy: string | null;
    readonly rule: string | null;
    readonly revision: string;
  } | null;
  readonly verdict: 'forwarded' | 'denied' | 'audited' | 'failed';
  /** A failure code, or null. */
  readonly failure: string | null;
  readonly status: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly durationUs: number;
}
