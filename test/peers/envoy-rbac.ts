/**
 * A real Envoy as judge of authorization rules: RBAC filters as Istio generates them, each set in listeners of its own, one with
 * TLS, one without. What a rule can see is real: identity by client certificate, source address of the socket, destination by
 * PROXY protocol, SNI, claims by a signed token through jwt_authn, original client by x-forwarded-for.
 */
import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';

import type { ConnectionAttributes, RequestAttributes, Token } from '#authz/engine/input.ts';
import { startProcess } from '#test/support/processes.ts';
import type { TestProcess } from '#test/support/processes.ts';
import { claimsOf } from '#test/support/token-claims.ts';

import { OracleAuthority } from './envoy-rbac-certificates.ts';

/** Filters that make one chain, as plain objects in Envoy's JSON form. */
export interface FilterChain {
  readonly name: string;
  readonly isTcp: boolean;
  readonly filters: readonly object[];
}

/** A request as bytes would carry it; `rawPath` may be not canonical. */
export interface OracleRequest {
  readonly method: string;
  readonly host: string;
  readonly rawPath: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly token: Token | null;
}

export interface OracleAnswer {
  readonly isAllowed: boolean;
  /** HTTP status; 0 for raw TCP. */
  readonly status: number;
}

export class EnvoyOracle implements AsyncDisposable {
  readonly #process: TestProcess;
  readonly #folder: string;
  readonly #authority: OracleAuthority;
  readonly #signer: TokenSigner;
  readonly #ports: ReadonlyMap<string, number>;
  readonly #leaves = new Map<string, string>();

  private constructor(
    process: TestProcess,
    folder: string,
    authority: OracleAuthority,
    signer: TokenSigner,
    ports: ReadonlyMap<string, number>,
  ) {
    this.#process = process;
    this.#folder = folder;
    this.#authority = authority;
    this.#signer = signer;
    this.#ports = ports;
  }

  static async start(envoy: string, chains: readonly FilterChain[]): Promise<EnvoyOracle> {
    const folder = mkdtempSync(join(tmpdir(), 'postern-envoy-'));
    const authority = new OracleAuthority();
    const signer = new TokenSigner();
    writeFileSync(join(folder, 'ca.pem'), authority.certificate);
    writeFileSync(join(folder, 'server.pem'), authority.leaf('spiffe://oracle.test/server'));
    writeFileSync(join(folder, 'server.key'), authority.leafKey, { mode: 0o600 });
    const admin = join(folder, 'admin.sock');
    writeFileSync(join(folder, 'envoy.json'), JSON.stringify(bootstrap(chains, folder, admin, signer)));
    const args = ['-c', join(folder, 'envoy.json'), '--concurrency', '1', '--use-dynamic-base-id', '-l', 'warn'];
    const process = startProcess(envoy, args);
    try {
      return new EnvoyOracle(process, folder, authority, signer, await listenerPorts(process, admin, 2 * chains.length));
    } catch (error) {
      await process.end('SIGKILL');
      rmSync(folder, { recursive: true });
      throw error;
    }
  }

  /** Sends requests one after the other on one connection. */
  async askHttp(
    chain: string,
    connection: ConnectionAttributes,
    requests: readonly OracleRequest[],
  ): Promise<readonly OracleAnswer[]> {
    const socket = await this.#open(chain, connection);
    try {
      const texts = requests.map((request) => this.#requestText(request, connection));
      return (await exchange(socket, texts)).map((status) => ({ isAllowed: status === 200, status }));
    } finally {
      socket.destroy();
    }
  }

  /** Whether a connection that carries no HTTP is let through: then its bytes come back. */
  async askTcp(chain: string, connection: ConnectionAttributes): Promise<OracleAnswer> {
    const socket = await this.#open(chain, connection);
    const echoed = new Promise<boolean>((settle) => {
      socket.once('data', () => settle(true));
      socket.once('close', () => settle(false));
      socket.setTimeout(5_000, () => settle(false));
    });
    socket.write('ping');
    const isAllowed = await echoed;
    socket.destroy();
    return { isAllowed, status: 0 };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.end();
    rmSync(this.#folder, { recursive: true });
  }

  async #open(chain: string, connection: ConnectionAttributes): Promise<Socket> {
    const { destinationIp, destinationPort, principal, sni, sourceIp, tls } = connection;
    const port = this.#ports.get(`${chain} ${tls ? 'tls' : 'plain'}`) ?? 0;
    const raw = connectTcp({ host: '127.0.0.1', port, localAddress: sourceIp, noDelay: true });
    await once(raw, 'connect');
    raw.write(`PROXY TCP4 ${sourceIp} ${destinationIp} 40000 ${destinationPort}\r\n`);
    if (!tls) return raw;
    const identity = principal === null ? {} : { cert: this.#leaf(principal), key: this.#authority.leafKey };
    const socket = connectTls({
      socket: raw,
      ca: this.#authority.certificate,
      ...identity,
      ...(sni === null ? {} : { servername: sni }),
      checkServerIdentity: () => undefined,
    });
    await once(socket, 'secureConnect');
    return socket;
  }

  #leaf(uri: string): string {
    const known = this.#leaves.get(uri) ?? this.#authority.leaf(uri);
    this.#leaves.set(uri, known);
    return known;
  }

  #requestText(request: OracleRequest, { remoteIp }: ConnectionAttributes): string {
    const headers = request.headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    const token = request.token === null ? '' : `x-oracle-token: ${this.#signer.sign(request.token)}\r\n`;
    return `${request.method} ${request.rawPath} HTTP/1.1\r\nhost: ${request.host}\r\nx-forwarded-for: ${remoteIp}\r\n${headers}${token}\r\n`;
  }
}

/** What the engine sees of an oracle's request. */
export function attributesOf(request: OracleRequest, canonicalPath: string): RequestAttributes {
  const values = (name: string): readonly string[] => request.headers.filter(([sent]) => sent === name).map(([, value]) => value);
  return {
    method: request.method,
    authority: request.host.toLowerCase(),
    path: canonicalPath,
    fields: { values },
    tokens: request.token === null ? [] : [request.token],
  };
}

class TokenSigner {
  readonly #key = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  get jwks(): string {
    return JSON.stringify({ keys: [{ ...this.#key.publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'ES256', use: 'sig' }] });
  }

  sign(token: Token): string {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const text = `${part({ alg: 'ES256', kid: 'k', typ: 'JWT' })}.${part(claimsOf(token))}`;
    const signature = sign('sha256', Buffer.from(text), { key: this.#key.privateKey, dsaEncoding: 'ieee-p1363' });
    return `${text}.${signature.toString('base64url')}`;
  }
}

function bootstrap(chains: readonly FilterChain[], folder: string, admin: string, signer: TokenSigner): object {
  const listeners = chains.flatMap((chain) => [listener(chain, folder, signer, true), listener(chain, folder, signer, false)]);
  return { admin: { address: { pipe: { path: admin, mode: 0o600 } } }, static_resources: { listeners } };
}

function listener(chain: FilterChain, folder: string, signer: TokenSigner, isTls: boolean): object {
  const echo = {
    name: 'envoy.filters.network.echo',
    typed_config: { '@type': type('envoy.extensions.filters.network.echo.v3.Echo') },
  };
  const filters = chain.isTcp ? [...chain.filters, echo] : [connectionManager(chain, signer)];
  const listenerFilters = ['proxy_protocol.v3.ProxyProtocol', ...(isTls ? ['tls_inspector.v3.TlsInspector'] : [])].map(
    (name) => ({
      name: `envoy.filters.listener.${name.slice(0, name.indexOf('.'))}`,
      typed_config: { '@type': type(`envoy.extensions.filters.listener.${name}`) },
    }),
  );
  return {
    name: `${chain.name} ${isTls ? 'tls' : 'plain'}`,
    address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    listener_filters: listenerFilters,
    filter_chains: [{ filters, ...(isTls ? { transport_socket: serverTls(folder) } : {}) }],
  };
}

function serverTls(folder: string): object {
  const file = (name: string): object => ({ filename: join(folder, name) });
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': type('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext'),
      require_client_certificate: false,
      common_tls_context: {
        tls_certificates: [{ certificate_chain: file('server.pem'), private_key: file('server.key') }],
        validation_context: { trusted_ca: file('ca.pem') },
      },
    },
  };
}

/** Istio's settings that matter here: BASE normalisation, x-forwarded-for believed. */
function connectionManager(chain: FilterChain, signer: TokenSigner): object {
  const provider = {
    local_jwks: { inline_string: signer.jwks },
    forward: true,
    payload_in_metadata: 'payload',
    normalize_payload_in_metadata: { space_delimited_claims: ['permission', 'scope'] },
    from_headers: [{ name: 'x-oracle-token' }],
  };
  const authn = {
    name: 'envoy.filters.http.jwt_authn',
    typed_config: {
      '@type': type('envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication'),
      providers: { p: provider },
      rules: [
        { match: { prefix: '/' }, requires: { requires_any: { requirements: [{ provider_name: 'p' }, { allow_missing: {} }] } } },
      ],
    },
  };
  const router = {
    name: 'envoy.filters.http.router',
    typed_config: { '@type': type('envoy.extensions.filters.http.router.v3.Router') },
  };
  const routes = [{ match: { prefix: '/' }, direct_response: { status: 200 } }];
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': type('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
      stat_prefix: 'oracle',
      normalize_path: true,
      use_remote_address: false,
      route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
      http_filters: [authn, ...chain.filters, router],
    },
  };
}

async function listenerPorts(process: TestProcess, admin: string, count: number): Promise<ReadonlyMap<string, number>> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    if (!process.isRunning) throw new Error(`Cannot start Envoy: ${process.stderr.slice(-3_000)}`);
    const ports = await askPorts(admin).catch(() => null);
    if (ports !== null && ports.size === count) return ports;
    if (performance.now() > deadline) throw new Error(`Cannot start Envoy in time: ${process.stderr.slice(-3_000)}`);
    await sleep(50);
  }
}

function askPorts(admin: string): Promise<ReadonlyMap<string, number>> {
  return new Promise((settle, fail) => {
    const asked = httpRequest({ socketPath: admin, path: '/listeners?format=json' }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => {
        // The form of Envoy's admin interface (envoy.admin.v3.Listeners).
        const { listener_statuses: statuses = [] } = JSON.parse(text) as {
          listener_statuses?: { name: string; local_address: { socket_address: { port_value: number } } }[];
        };
        settle(new Map(statuses.map(({ name, local_address }) => [name, local_address.socket_address.port_value])));
      });
    });
    asked.on('error', fail);
    asked.end();
  });
}

/** Writes a request, reads the status of its response, skips the body, and so on with the next. */
function exchange(socket: Socket, requests: readonly string[]): Promise<readonly number[]> {
  return new Promise((settle, fail) => {
    const statuses: number[] = [];
    let pending = '';
    const next = (): void => {
      const request = requests[statuses.length];
      if (request === undefined) settle(statuses);
      else socket.write(request, 'latin1');
    };
    socket.setTimeout(10_000, () => fail(new Error(`Envoy answered ${statuses.length} of ${requests.length} requests in time`)));
    socket.on('error', fail);
    socket.on('close', () => fail(new Error(`Envoy closed before it answered: ${requests[statuses.length]}`)));
    socket.on('data', (chunk: Buffer) => {
      pending += chunk.toString('latin1');
      const end = pending.indexOf('\r\n\r\n');
      const length = Number(/^content-length: (\d+)/im.exec(pending)?.[1] ?? 0);
      const method = requests[statuses.length]?.slice(0, 5);
      if (end < 0 || pending.length < end + 4 + (method === 'HEAD ' ? 0 : length)) return;
      statuses.push(Number(pending.slice(9, 12)));
      pending = '';
      next();
    });
    next();
  });
}

function once(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((settle, fail) => {
    socket.once(event, settle);
    socket.once('error', fail);
  });
}

function type(name: string): string {
  return `type.googleapis.com/${name}`;
}
