/** The status port: readiness, liveness and metrics. Open to the network, so it tells nothing beyond that and takes no orders. */
import type { Server } from 'node:http';
import type { HostPort } from '#proto/config/proxy.ts';
import { listenOn } from '../listen/listener.ts';
import { createHttpServer } from './http-server.ts';

export interface StatusSource {
  /** Why there should be no traffic, or null. */
  notReady(): string | null;
  /** The text of one scrape. */
  metrics(): Promise<string>;
}

/** Serves until closed; resolves once it listens. */
export async function serveStatus(address: HostPort, source: StatusSource): Promise<Server> {
  const server = createHttpServer(
    { headersTimeout: 5_000, requestTimeout: 10_000, connectionsCheckingInterval: 1_000 },
    (request, response) => {
      const path = request.url?.split('?', 1)[0] ?? '';
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.writeHead(405, { allow: 'GET, HEAD' }).end();
      } else if (path === '/healthz/live') {
        response.writeHead(200, TEXT).end('live\n');
      } else if (path === '/healthz/ready') {
        const reason = source.notReady();
        response.writeHead(reason === null ? 200 : 503, TEXT).end(reason === null ? 'ready\n' : `not ready: ${reason}\n`);
      } else if (path === '/metrics' || path === '/stats/prometheus') {
        source.metrics().then(
          (text) => response.writeHead(200, PROMETHEUS).end(text),
          (error: unknown) => response.writeHead(500, TEXT).end(`metrics failed: ${String(error)}\n`),
        );
      } else {
        response.writeHead(404, TEXT).end('not found: try /healthz/ready, /healthz/live or /metrics\n');
      }
    },
  );
  server.maxConnections = 256;
  server.keepAliveTimeout = 5_000;
  await listenOn(server, address, 'telemetry.status');
  return server;
}

const TEXT = { 'content-type': 'text/plain; charset=utf-8' };
const PROMETHEUS = { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' };
