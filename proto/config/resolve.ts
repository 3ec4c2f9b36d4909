/** From the document to what the data process gets: every path absolute, every absence a null. */
import { dirname, resolve } from 'node:path';

import type { ListenAddress, ProxyConfig } from './proxy.ts';
import type { ProxyDocument } from './schema.ts';

/** Resolves a valid document that stands in `file`, which is absolute. */
export function resolveConfig({ metadata, spec }: ProxyDocument, file: string): ProxyConfig {
  const folder = dirname(file);
  const absolute = (path: string): string => resolve(folder, path);
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
        bundles: Object.fromEntries(Object.entries(identity.files.bundles).map(([name, path]) => [name, absolute(path)])),
      },
    },
    inbound: spec.inbound.map((listener) => ({
      ...listener,
      listen: listenAt(listener.listen),
      workloadPort: listener.workloadPort ?? listener.forwardTo.port,
    })),
    outbound: spec.outbound.map((listener) => ({
      listen: listenAt(listener.listen),
      forwardTo: listener.forwardTo,
      expect: listener.expect,
      sni: listener.sni ?? null,
      allowUids: listener.allowUids ?? null,
    })),
    policies: { ...policies, files: policies.files.map(absolute) },
    trustedForwarders: spec.trustedForwarders,
    limits: spec.limits,
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
    },
    telemetry: {
      accessLog: telemetry.accessLog === null ? null : logFile(telemetry.accessLog.file),
      flows: orAbsolute(telemetry.flows),
      status: telemetry.status ?? null,
      admin: orAbsolute(telemetry.admin),
    },
  };
}
