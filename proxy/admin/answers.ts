/** What one data process answers to its admin interface: the configuration, what is in force, who is connected, what was denied. */
import type { ProxyConfig } from '#proto/config/proxy.ts';
import type { BundleFacts, DocumentFault } from '#proto/prepare.ts';
import type { RecordedDecision } from '../report/decision-ring.ts';
import { SECRET_FIELDS } from '../report/secret-fields.ts';
import type { Runtime } from '../runtime.ts';

export interface AdminSource {
  readonly runtime: Runtime;
  readonly config: ProxyConfig;
  /** Why there should be no traffic, or null. */
  notReady(): string | null;
  /** Faults of the newest policy set when it was refused, else empty. */
  policyFaults(): readonly DocumentFault[];
  /** Why the newest identity files were refused, or null. */
  identityFault(): string | null;
}

/** The answer to `GET url` as JSON data; null when there is no such thing. */
export function adminAnswer(url: string, source: AdminSource): unknown {
  const { runtime, config } = source;
  const { policy, identity } = runtime.snapshot;
  if (url === '/config') return config;
  if (url === '/ready') return { reason: source.notReady() };
  if (url === '/policy') {
    return {
      revision: policy.engine.revision,
      state: policy.state,
      documents: policy.documents,
      selected: policy.selected,
      loadedAt: new Date(policy.loadedMs).toISOString(),
      ...(policy.expiresMs === null ? {} : { expires: new Date(policy.expiresMs).toISOString() }),
      isKeptCopy: policy.isKeptCopy,
      bundle: bundleAnswer(policy.bundle),
      faults: source.policyFaults(),
    };
  }
  if (url === '/identity') {
    if (identity === null) return { spiffeId: null, fault: source.identityFault() };
    const { svid } = identity;
    return {
      spiffeId: svid.spiffeId.uri,
      serial: svid.serial,
      notAfter: new Date(svid.notAfterMs).toISOString(),
      generation: identity.generation,
      bundleGeneration: identity.bundleGeneration,
      trustDomains: Object.keys(config.identity.files.bundles),
      fault: source.identityFault(),
    };
  }
  if (url === '/connections') {
    return [...runtime.connections].map(({ connection, requests, isIdle }) => ({
      id: connection.id,
      listener: connection.listener,
      peer: `${connection.peerAddress}:${connection.peerPort}`,
      principal: connection.attributes.principal,
      openedAt: new Date(connection.openedMs).toISOString(),
      requests,
      isIdle,
    }));
  }
  if (url === '/decisions') return runtime.report.ring.recent().map((entry) => withoutModel(entry));
  if (url.startsWith('/decisions/')) {
    const entry = runtime.report.ring.find(url.slice('/decisions/'.length));
    if (entry === null) return null;
    return { ...withoutModel(entry), model: entry.model === null ? null : Buffer.from(entry.model).toString('base64') };
  }
  return null;
}

function bundleAnswer(bundle: BundleFacts | null): object | null {
  if (bundle === null) return null;
  const { digest, keyId, notBeforeMs, revision } = bundle;
  return { revision, digest, keyId, notBefore: new Date(notBeforeMs).toISOString() };
}

function withoutModel(entry: RecordedDecision): object {
  const { request } = entry.input;
  return {
    id: entry.id,
    at: new Date(entry.atMs).toISOString(),
    decision: entry.decision,
    reason: entry.reason,
    input: {
      connection: entry.input.connection,
      request:
        request === null
          ? null
          : {
              method: request.method,
              authority: request.authority,
              path: request.path,
              headers: shownHeaders(entry),
              tokens: request.tokens.map(({ audiences, claims, issuer, presenter, subject }) => ({
                issuer,
                subject,
                audiences,
                presenter,
                claims,
              })),
            },
    },
  };
}

/** A secret that a policy reads was compared by it; whoever reads the answer need not see it. */
function shownHeaders({ headers }: RecordedDecision): (readonly [string, string])[] {
  return headers.map(([name, value]) => [name, SECRET_FIELDS.has(name) ? '[redacted]' : value] as const);
}
