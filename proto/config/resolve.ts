/** From the document to what the data process gets: every path absolute, every absence a null. */
import { dirname, resolve } from 'node:path';

import { resolveAuthorizer } from './resolve-authorizer.ts';
import type { ListenAddress, ProxyConfig, ProxyLimits } from './proxy.ts';
import type { ProxyDocument } from './schema.ts';

/** Resolves a valid document that stands in `file`, which is absolute. */
export function resolveConfig({ metadata, spec }: ProxyDocument, file: string): ProxyConfig {
  const folder = dirname(file);
  const absolute = (path: string): string => resolve(folder, path);
  const eachAbsolute = (files: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
    Object.fromEntries(Object.entries(files).map(([name, path]) => [name, absolute(path)]));
  const orAbsolute = (path: string | undefined): string | null => (path === undefined ? null : absolute(path));
  const listenAt = (address: ListenAddress): ListenAddress =>
    'socket' in address ? { socket: absolute(address.socket) } : address;
  const logFile = (path: string): string => (path === '-' ? path : absolute(path));
  const { identity, policies, timeouts, telemetry } = spec;

  return {
    file,
    name: metadata.name,
    namespace: metadata.namespace,
    labels: metadata.labels,
    serviceAccount: spec.serviceAccount ?? null,
    identity: {
      trustDomain: identity.trustDomain,
      trustDomainAliases: identity.trustDomainAliases,
      files: {
        certificate: absolute(identity.files.certificate),
        key: absolute(identity.files.key),
        bundles: eachAbsolute(identity.files.bundles),
        revocationLists: eachAbsolute(identity.files.revocationLists),
      },
    },
    inbound: spec.inbound.map(({ forwardTo, ...listener }) => ({
      ...listener,
      listen: listenAt(listener.listen),
      // A workload whose protocol is written down is not looked at for another one.
      protocol: listener.protocol === 'auto' && forwardTo.protocol !== null ? 'http' : listener.protocol,
      forwardTo: { host: forwardTo.host, port: forwardTo.port },
      upstreamProtocol: forwardTo.protocol ?? (HTTP2_PROTOCOLS.includes(listener.protocol) ? 'http2' : 'http1'),
      workloadPort: listener.workloadPort ?? forwardTo.port,
    })),
    outbound: spec.outbound.map((listener) => ({
      listen: listenAt(listener.listen),
      // A tunnel carries bytes, whatever they say.
      protocol: listener.hboneDestination === undefined ? listener.protocol : 'tcp',
      // One of the two is there: checks.ts refuses the rest before anything is made of it.
      forwardTo: listener.forwardTo ?? listener.endpoints?.[0] ?? NOWHERE,
      endpoints: listener.endpoints ?? (listener.forwardTo === undefined ? [] : [listener.forwardTo]),
      http2: listener.http2,
      connectionsPerEndpoint: listener.connectionsPerEndpoint,
      hboneDestination: listener.hboneDestination ?? null,
      retries: {
        attempts: listener.retries.attempts,
        budgetPercent: listener.retries.budgetPercent,
        tryMs: listener.retries.perTry,
      },
      outlier: {
        consecutiveFailures: listener.outlier.consecutiveFailures,
        ejectionMs: listener.outlier.ejection,
        maxEjectedPercent: listener.outlier.maxEjectedPercent,
      },
      circuit: listener.circuit,
      expect: listener.expect,
      sni: listener.sni ?? null,
      allowUids: listener.allowUids ?? null,
    })),
    hbone: spec.hbone === undefined ? null : { listen: listenAt(spec.hbone.listen), addresses: spec.hbone.addresses },
    concurrency: spec.concurrency,
    policies: resolvePolicies(policies, absolute),
    authorizers: spec.authorizers.map((document) => resolveAuthorizer(document, absolute)),
    tokens: {
      leewayMs: spec.tokens.leeway,
      keyRefreshMs: spec.tokens.keyRefresh,
      keyMaxAgeMs: spec.tokens.keyMaxAge,
      privateHosts: spec.tokens.privateHosts,
      authorities: orAbsolute(spec.tokens.authorities),
    },
    trustedForwarders: spec.trustedForwarders,
    limits: resolveLimits(spec.limits),
    timeouts: {
      handshakeMs: timeouts.handshake,
      headMs: timeouts.head,
      bodyIdleMs: timeouts.bodyIdle,
      idleMs: timeouts.idle,
      connectMs: timeouts.connect,
      responseMs: timeouts.response,
      upstreamIdleMs: timeouts.upstreamIdle,
      drainMs: timeouts.drain,
      connectionAgeMs: timeouts.connectionAge,
      detectMs: timeouts.detect,
      tcpIdleMs: timeouts.tcpIdle,
      tunnelIdleMs: timeouts.tunnelIdle,
      tcpAgeMs: timeouts.tcpAge,
      requestMs: timeouts.request,
      keepAliveMs: timeouts.keepAlive,
    },
    telemetry: {
      accessLog: telemetry.accessLog === null ? null : logFile(telemetry.accessLog.file),
      flows: orAbsolute(telemetry.flows),
      status: telemetry.status ?? null,
      admin: orAbsolute(telemetry.admin),
    },
  };
}

function resolvePolicies(
  { bundle, files, lastKnownGood, ...rest }: ProxyDocument['spec']['policies'],
  absolute: (path: string) => string,
): ProxyConfig['policies'] {
  const resolved =
    bundle === undefined ? null : { file: absolute(bundle.file), keys: bundle.keys.map(absolute), maxAgeMs: bundle.maxAge };
  const folder = lastKnownGood === undefined ? null : absolute(lastKnownGood);
  return { ...rest, files: files.map(absolute), bundle: resolved, lastKnownGood: folder };
}

function resolveLimits({ http2, grpcMessage, ...limits }: ProxyDocument['spec']['limits']): ProxyLimits {
  const {
    headerList,
    headerBlock,
    streamWindow,
    sessionWindow,
    queued,
    window,
    preface,
    settingsAck,
    openHead,
    ping,
    ...counts
  } = http2;
  const { streamStall, streamIdle, ...rest } = counts;
  return {
    ...limits,
    grpcMessageBytes: grpcMessage,
    http2: {
      ...rest,
      headerListBytes: headerList,
      headerBlockBytes: headerBlock,
      streamWindowBytes: streamWindow,
      sessionWindowBytes: sessionWindow,
      queuedBytes: queued,
      windowMs: window,
      prefaceMs: preface,
      settingsMs: settingsAck,
      headerBlockMs: openHead,
      pingMs: ping,
      streamStallMs: streamStall,
      streamIdleMs: streamIdle,
    },
  };
}

const HTTP2_PROTOCOLS: readonly string[] = ['http2', 'grpc'];
const NOWHERE = { host: '', port: 0 };
