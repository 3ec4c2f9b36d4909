/**
 * Every upstream of a sidecar, made from its configuration: the local workload behind each inbound listener, the peer behind each
 * outbound one. What they were opened with is let go, or proved anew, when the own identity or a bundle changes.
 */
import type { IdentitySnapshot } from '#certs/source/assemble.ts';
import type { VerifyCache } from '#certs/verify-cache.ts';
import type { GrpcAuthorizer, HttpAuthorizer } from '#proto/config/authorizers.ts';
import type { CircuitConfig, HostPort, InboundConfig, OutboundConfig, OutlierConfig, RetryConfig } from '#proto/config/proxy.ts';
import type { Runtime } from '../runtime.ts';
import { HTTP1_PROTOCOLS, HTTP_PROTOCOLS } from '../tls/alpn.ts';
import { TlsDialer } from '../tls/tls-dialer.ts';
import { plainDialer } from './dialer.ts';
import { Endpoint } from './endpoint.ts';
import { IdleConnections } from './idle-connections.ts';
import { UpstreamService } from './service.ts';

export class Upstreams {
  readonly services: UpstreamService[] = [];
  readonly #runtime: Runtime;
  readonly #cache: VerifyCache;
  readonly #idle: IdleConnections;
  readonly #dialers: TlsDialer[] = [];

  constructor(runtime: Runtime, cache: VerifyCache) {
    this.#runtime = runtime;
    this.#cache = cache;
    this.#idle = new IdleConnections(runtime.limits.idleUpstreamConnections);
  }

  /** The workload behind an inbound listener: each caller has connections of its own. */
  workload({ forwardTo, upstreamProtocol }: InboundConfig): UpstreamService {
    const endpoint = new Endpoint(addressOf(forwardTo), plainDialer(forwardTo), upstreamProtocol);
    const { connections } = this.#runtime.limits;
    return this.#service('inbound', [endpoint], {
      circuit: { connections, pendingRequests: Infinity, requests: Infinity },
      retries: ONE_RETRY,
      outlier: NEVER_OUT,
      sharedConnections: 0,
    });
  }

  /** The peer behind an outbound listener. */
  peer(config: OutboundConfig): UpstreamService {
    const mayShare = config.http2 === 'prefer';
    const endpoints = config.endpoints.map(
      (address) =>
        new Endpoint(
          addressOf(address),
          this.dialer(config, address, mayShare ? HTTP_PROTOCOLS : HTTP1_PROTOCOLS),
          mayShare ? null : 'http1',
        ),
    );
    return this.#service('outbound', endpoints, {
      circuit: config.circuit,
      retries: config.retries,
      outlier: config.outlier,
      sharedConnections: mayShare ? config.connectionsPerEndpoint : 0,
    });
  }

  /** The HBONE port of a peer, spoken to by HTTP/2 alone. */
  hbone(config: OutboundConfig, address: HostPort): UpstreamService {
    const endpoint = new Endpoint(addressOf(address), this.dialer(config, address, ['h2']), null);
    const { circuit, retries, outlier, connectionsPerEndpoint: sharedConnections } = config;
    return this.#service('outbound', [endpoint], { circuit, retries, outlier, sharedConnections });
  }

  /** An external authorizer of this machine. What it has to say about is bounded by its own `concurrency`. */
  authorizer({ address, kind, timeoutMs }: GrpcAuthorizer | HttpAuthorizer): UpstreamService {
    const endpoint = new Endpoint(addressOf(address), plainDialer(address), kind === 'grpc' ? 'http2' : 'http1');
    const { timeouts } = this.#runtime;
    const connections = kind === 'grpc' ? AUTHORIZER_SESSIONS : AUTHORIZER_CONNECTIONS;
    return this.#service(
      'outbound',
      [endpoint],
      {
        circuit: { connections, pendingRequests: Infinity, requests: Infinity },
        retries: NO_RETRY,
        outlier: NEVER_OUT,
        sharedConnections: 0,
      },
      // The question has a deadline of its own, which is no later.
      { ...timeouts, connectMs: timeoutMs, responseMs: timeoutMs, requestMs: 0 },
    );
  }

  /** Nowhere: for a listener of which nothing is forwarded but what is inside of its tunnels. */
  nowhere(): UpstreamService {
    return this.#service('inbound', [], { circuit: NO_CIRCUIT, retries: ONE_RETRY, outlier: NEVER_OUT, sharedConnections: 0 });
  }

  /** Opens mutual TLS connections to a peer, of which those that no longer verify are ended. */
  dialer(config: OutboundConfig, endpoint: HostPort, protocols: readonly string[], isRaw = false): TlsDialer {
    const dialer = new TlsDialer({
      endpoint,
      expect: config.expect,
      sni: config.sni,
      identity: () => this.#runtime.snapshot.identity,
      cache: this.#cache,
      clock: this.#runtime.clock,
      protocols,
      isRaw,
    });
    this.#dialers.push(dialer);
    return dialer;
  }

  /** The identity in force was replaced. */
  identityChanged(identity: IdentitySnapshot, areBundlesNew: boolean): void {
    if (areBundlesNew) for (const dialer of this.#dialers) dialer.reverify(identity);
    for (const service of this.services) service.letGoOld();
  }

  #service(
    direction: 'inbound' | 'outbound',
    endpoints: readonly Endpoint[],
    bounds: { circuit: CircuitConfig; retries: RetryConfig; outlier: OutlierConfig; sharedConnections: number },
    timeouts = this.#runtime.timeouts,
  ): UpstreamService {
    const { headLimits, limits, report, wheel } = this.#runtime;
    const { http2, informationalResponses } = limits;
    const name = endpoints[0]?.name ?? '';
    const service = new UpstreamService({
      name,
      direction,
      endpoints,
      wheel,
      timeouts,
      headLimits,
      informationalResponses,
      idle: this.#idle,
      report,
      http2,
      ...bounds,
    });
    this.services.push(service);
    return service;
  }
}

function addressOf({ host, port }: HostPort): string {
  return `${host}:${port}`;
}

/** What the local workload has: a connection that it closed just then is worth one more try. */
const ONE_RETRY: RetryConfig = { attempts: 1, budgetPercent: 100, tryMs: 0 };
/** An authorizer's calls are repeated by whoever makes them. */
const NO_RETRY: RetryConfig = { attempts: 0, budgetPercent: 0, tryMs: 0 };
/** Connections to an authorizer, each of as many streams as it allows, or of one question at a time. */
const AUTHORIZER_SESSIONS = 32;
const AUTHORIZER_CONNECTIONS = 1_024;
const NO_CIRCUIT: CircuitConfig = { connections: 0, pendingRequests: 0, requests: 0 };
/** There is no other. */
const NEVER_OUT: OutlierConfig = { consecutiveFailures: 0, ejectionMs: 0, maxEjectedPercent: 0 };
