/**
 * The admin interface: what is in force and why, as JSON over a Unix socket with mode 0600. It changes nothing, and no key ever
 * stands in an answer.
 */
import { chmodSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { PosternError } from '#base/error.ts';
import type { ProxyConfig } from '#proto/config/proxy.ts';
import type { DocumentFault } from '#proto/prepare.ts';
import type { RecordedDecision } from '../report/decision-ring.ts';
import { SECRET_FIELDS } from '../report/secret-fields.ts';
import type { Runtime } from '../runtime.ts';
import { createHttpServer } from './http-server.ts';

export interface AdminSource {
  readonly runtime: Runtime;
  readonly config: ProxyConfig;
  /** Faults of the newest policy set when it was refused, else empty. */
  policyFaults(): readonly DocumentFault[];
  /** Why the newest identity files were refused, or null. */
  identityFault(): string | null;
}

/** Serves on the socket until closed. A socket left by a process that is gone is replaced, a live one is not. */
export async function serveAdmin(path: string, source: AdminSource): Promise<Server> {
  if (await isAlive(path)) {
    throw new PosternError(
      'admin_socket_in_use',
      `Cannot listen on "${path}": another process answers there`,
      'choose another telemetry.admin',
    );
  }
  rmSync(path, { force: true });
  const server = createHttpServer({}, (request, response) => {
    const answer = request.method === 'GET' ? answerFor(request.url ?? '/', source) : null;
    const body = `${JSON.stringify(answer ?? { error: 'not found' })}\n`;
    response.writeHead(answer === null ? 404 : 200, { 'content-type': 'application/json' }).end(body);
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  // Made by a process whose umask lets nobody else in, so that there is no moment in which it is open.
  const umask = process.umask(0o177);
  server.listen(path, resolve);
  process.umask(umask);
  await promise;
  chmodSync(path, 0o600);
  return server;
}

function answerFor(url: string, source: AdminSource): unknown {
  const { runtime, config } = source;
  const { policy, identity } = runtime.snapshot;
  if (url === '/config') return config;
  if (url === '/policy') {
    return {
      revision: policy.engine.revision,
      state: policy.state,
      documents: policy.documents,
      selected: policy.selected,
      loadedAt: new Date(policy.loadedMs).toISOString(),
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

function withoutModel(entry: RecordedDecision): object {
  const { request } = entry.input;
  return {
    id: entry.id,
    at: new Date(entry.atMs).toISOString(),
    decision: entry.decision,
    input: {
      connection: entry.input.connection,
      request:
        request === null
          ? null
          : { method: request.method, authority: request.authority, path: request.path, headers: shownHeaders(entry) },
    },
  };
}

/** A secret that a policy reads was compared by it; whoever reads the answer need not see it. */
function shownHeaders({ headers }: RecordedDecision): (readonly [string, string])[] {
  return headers.map(([name, value]) => [name, SECRET_FIELDS.has(name) ? '[redacted]' : value] as const);
}

function isAlive(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path, () => {
    socket.destroy();
    resolve(true);
  });
  socket.on('error', () => resolve(false));
  return promise;
}
