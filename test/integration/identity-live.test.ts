/**
 * The battery of X.509-SVID chains against a running sidecar, over real TLS sockets and in both roles: as the server whom a bad client
 * calls, and as the client who calls a bad server. What is refused is refused by its own code, the upstream behind the server sees no
 * connection, and the bad server sees no byte of HTTP. Then what a change of bundles does to callers that are already there.
 */
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, createServer as createTlsServer } from 'node:tls';
import type { ConnectionOptions, Server as TlsServer, TLSSocket } from 'node:tls';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { createRoot, issueSvid } from '#certs/authority/authority.ts';
import type { Authority } from '#certs/authority/authority.ts';
import { makeSvidBattery, WORKLOAD_ID } from '#test/conformance/identity/svid-cases.ts';
import type { SvidCase } from '#test/conformance/identity/svid-cases.ts';
import { freePort } from '#test/support/free-port.ts';
import { startProcess } from '#test/support/processes.ts';
import type { TestProcess } from '#test/support/processes.ts';

const atMs = Date.now();
const HOUR_MS = 3_600_000;
const OWN_ID = 'spiffe://a.test/ns/app/sa/app';
const battery = makeSvidBattery(atMs);
const cases = [...battery.good, ...battery.bad];
const folder = mkdtempSync(join(tmpdir(), 'postern-live-'));

let ports: { readonly inbound: number; readonly outbound: number; readonly status: number };
let sidecar: TestProcess;
let app: { readonly server: Server; connections: number };
let peer: { readonly server: TlsServer; bytes: number };

beforeAll(async () => {
  app = { server: createServer(), connections: 0 };
  app.server.on('connection', (socket) => {
    app.connections++;
    socket.on('error', () => {});
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'));
  });
  // It speaks before it knows whom it speaks to, as a hostile server would.
  peer = { server: createTlsServer({ ALPNProtocols: ['http/1.1'], minVersion: 'TLSv1.3', ...tlsOf(battery.good[0]) }), bytes: 0 };
  peer.server.on('tlsClientError', () => {});
  peer.server.on('secureConnection', (socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      peer.bytes += chunk.length;
      socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok');
    });
  });
  const [appPort, peerPort] = [await listen(app.server), await listen(peer.server)];
  ports = { inbound: await freePort(), outbound: await freePort(), status: await freePort() };
  placeIdentity(battery.a);
  writeFileSync(
    join(folder, 'proxy.yaml'),
    `apiVersion: postern.mesh/v1alpha1
kind: Proxy
metadata: { name: app, namespace: app, labels: { app: app } }
spec:
  mode: standalone
  identity:
    trustDomain: a.test
    files: { certificate: server.pem, key: server.key, bundles: { a.test: ca.pem, b.test: b.pem } }
  inbound:
    - { listen: 127.0.0.1:${ports.inbound}, mtls: STRICT, forwardTo: 127.0.0.1:${appPort} }
  outbound:
    - { listen: 127.0.0.1:${ports.outbound}, forwardTo: 127.0.0.1:${peerPort}, expect: [${WORKLOAD_ID}, spiffe://b.test/x] }
  policies: { allowAll: true }
  telemetry: { accessLog: { format: json, file: access.log }, status: 127.0.0.1:${ports.status} }
`,
  );
  sidecar = startProcess(process.execPath, [
    resolve(import.meta.dirname, '../../bin/postern.js'),
    'proxy',
    '-c',
    join(folder, 'proxy.yaml'),
  ]);
  await sidecar.waitForPort(ports.inbound);
});

afterAll(async () => {
  await sidecar.end();
  app.server.close();
  peer.server.close();
  rmSync(folder, { recursive: true });
});

describe('the sidecar as server', () => {
  const refusedPorts = new Map<number, string>();

  test.each(cases)('$want: $name', async (each) => {
    const connectionsBefore = app.connections;
    const { answer, port } = await call(tlsOf(each));
    if (each.want === 'accepted') {
      expect(answer).toContain('200 OK');
      return;
    }
    expect(answer).toBe('');
    expect(app.connections).toBe(connectionsBefore);
    refusedPorts.set(port, codeOnSockets(each));
  });

  test('has logged each of them by its code', async () => {
    expect(refusedPorts.size).toBe(battery.bad.length);
    for (const [port, code] of refusedPorts) {
      const line = await logged((entry) => String(entry['downstream_remote_address']).endsWith(`:${port}`));
      expect(line).toMatchObject({ reason: 'svid_refused', detail: code, source_principal: null });
    }
  });

  test('refuses a client without certificate', async () => {
    const connectionsBefore = app.connections;
    const { answer, port } = await call({});
    expect(answer).toBe('');
    expect(app.connections).toBe(connectionsBefore);
    const line = await logged((entry) => String(entry['downstream_remote_address']).endsWith(`:${port}`));
    expect(line).toMatchObject({ reason: 'no_client_certificate' });
  });
});

describe('the sidecar as client', () => {
  const refusedPaths = new Map<string, string>();

  test.each(cases)('$want: $name', async (each) => {
    peer.server.setSecureContext({ minVersion: 'TLSv1.3', ...tlsOf(each) });
    const bytesBefore = peer.bytes;
    const path = `/case/${cases.indexOf(each)}`;
    const { status, reason } = await ask(path);
    if (each.want === 'accepted') {
      expect(status).toBe(200);
      expect(peer.bytes).toBeGreaterThan(bytesBefore);
      return;
    }
    expect({ status, reason }).toEqual({ status: 502, reason: 'upstream_identity' });
    expect(peer.bytes).toBe(bytesBefore);
    refusedPaths.set(path, codeOnSockets(each));
  });

  test('refuses a valid server that is not the expected one', async () => {
    const other = issueSvid(battery.a, { spiffeId: 'spiffe://a.test/ns/prod/sa/other', atMs, lifetimeMs: HOUR_MS });
    peer.server.setSecureContext({ minVersion: 'TLSv1.3', cert: other.certificatePem, key: other.keyPem });
    const bytesBefore = peer.bytes;
    expect(await ask('/other')).toEqual({ status: 502, reason: 'upstream_identity' });
    expect(peer.bytes).toBe(bytesBefore);
    refusedPaths.set('/other', 'unexpected_id');
  });

  test('has logged each of them by its code', async () => {
    expect(refusedPaths.size).toBe(battery.bad.length + 1);
    for (const [path, code] of refusedPaths) {
      const line = await logged((entry) => entry['path'] === path);
      expect(line).toMatchObject({ reason: 'upstream_identity', response_code_details: `upstream_identity[${code}]` });
    }
    expect(peer.bytes).toBeGreaterThan(0);
  });
});

// Last: it changes whom the sidecar trusts.
test('a caller is cut off when its root leaves the bundle, and another stays', async () => {
  const [mine, theirs] = [battery.good[0], battery.good.find((each) => each.name === 'of another trusted domain')];
  const [cut, kept] = [await keepAlive(mine), await keepAlive(theirs)];
  placeIdentity(createRoot({ trustDomain: 'a.test', atMs, lifetimeMs: HOUR_MS }));
  await within(2000, () => cut.isClosed());
  await kept.ask();
  expect(kept.isClosed()).toBe(false);
  const line = await logged((entry) => entry['reason'] === 'svid_expired');
  expect(line['detail']).toBe('issuer_mismatch');
  expect((await call(tlsOf(mine))).answer).toBe('');
  kept.close();
});

/** Writes the sidecar's own SVID and the bundles; `authority` is the root of `a.test`. */
function placeIdentity(authority: Authority): void {
  const own = issueSvid(authority, { spiffeId: OWN_ID, atMs, lifetimeMs: HOUR_MS / 2 });
  writeFileSync(join(folder, 'server.pem'), own.certificatePem);
  writeFileSync(join(folder, 'server.key'), own.keyPem);
  writeFileSync(join(folder, 'ca.pem'), authority.bundlePem);
  writeFileSync(join(folder, 'b.pem'), battery.b.bundlePem);
}

/**
 * The code of a refusal where the chain came over a socket. Node passes on only those certificates of a handshake that OpenSSL takes for
 * issuers of one another, and one without keyCertSign is none: what it signed then lacks its issuer.
 */
function codeOnSockets({ want }: SvidCase): string {
  return want === 'issuer_key_cert_sign' || want === 'issuer_is_svid' ? 'issuer_missing' : want;
}

function tlsOf(each: SvidCase | undefined): { readonly cert: string; readonly key: string } {
  return { cert: each?.certificatePem ?? '', key: each?.keyPem ?? '' };
}

/** Sends a request the moment the handshake is done, and waits for the end; the answer is '' when none came. */
async function call(credentials: ConnectionOptions): Promise<{ answer: string; port: number }> {
  const socket = dial(credentials);
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk.toString('latin1');
    if (answer.endsWith('ok')) socket.end();
  });
  socket.on('error', () => {});
  socket.once('secureConnect', () => socket.write('GET / HTTP/1.1\r\nhost: app\r\n\r\n'));
  let port = 0;
  socket.once('connect', () => {
    port = socket.localPort ?? 0;
  });
  await once(socket, 'close');
  return { answer, port };
}

async function keepAlive(each: SvidCase | undefined) {
  const socket = dial(tlsOf(each));
  let isClosed = false;
  socket.on('error', () => {});
  socket.on('close', () => {
    isClosed = true;
  });
  const ask = async (): Promise<void> => {
    socket.write('GET / HTTP/1.1\r\nhost: app\r\n\r\n');
    await once(socket, 'data', { signal: AbortSignal.timeout(5000) });
  };
  await ask();
  return { ask, isClosed: () => isClosed, close: () => socket.destroy() };
}

function dial(credentials: ConnectionOptions): TLSSocket {
  return connect({
    host: '127.0.0.1',
    port: ports.inbound,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['http/1.1'],
    ...credentials,
  });
}

/** Asks through the outbound listener, as the local app does. */
async function ask(path: string): Promise<{ status: number; reason: string | null }> {
  const outgoing = request({ host: '127.0.0.1', port: ports.outbound, path, headers: { host: 'peer' }, agent: false });
  const answered = Promise.withResolvers<IncomingMessage>();
  outgoing.on('response', answered.resolve).on('error', answered.reject).end();
  const response = await answered.promise;
  response.resume();
  const reason = response.headers['x-postern-reason'];
  return { status: response.statusCode ?? 0, reason: typeof reason === 'string' ? reason : null };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A TCP server's address is never a path.
  return (server.address() as AddressInfo).port;
}

/** The first line of the access log that is meant; lines are written in batches. */
async function logged(
  isMeant: (entry: Readonly<Record<string, unknown>>) => boolean,
): Promise<Readonly<Record<string, unknown>>> {
  let found: Readonly<Record<string, unknown>> | undefined;
  await within(3000, () => {
    found = entries().find(isMeant);
    return found !== undefined;
  });
  return found ?? {};
}

function entries(): Readonly<Record<string, unknown>>[] {
  const file = join(folder, 'access.log');
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  // Every line of the access log is a JSON object.
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function within(limitMs: number, isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error(`Cannot see it happen: waited ${limitMs} ms`);
    await sleep(10);
  }
}
