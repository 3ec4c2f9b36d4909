/**
 * Which application protocol an inbound connection speaks (RFC 7301). Istio's callers offer names of their own beside the usual ones;
 * `istio-peer-exchange` is never taken, because it announces a preamble that we do not speak.
 */
import type { PortProtocol } from '#proto/config/proxy.ts';

/** The name to select of those that a caller offers, by what the port speaks; undefined ends the handshake. */
export function selectAlpn(protocol: PortProtocol, offered: readonly string[]): string | undefined {
  const accepted = ACCEPTED[protocol];
  return accepted.find((name) => offered.includes(name));
}

/** Whether what was negotiated is HTTP/2. */
export function isHttp2(alpn: string | false | null): boolean {
  return alpn === 'h2' || alpn === 'istio-h2';
}

/**
 * What our own side offers to a peer that may speak either version of HTTP. The first name is what an Istio sidecar knows its mesh by,
 * whatever it then selects.
 */
export const HTTP_PROTOCOLS: readonly string[] = ['istio-h2', 'istio', 'h2', 'istio-http/1.1', 'http/1.1'];
/** The same where only HTTP/1.1 will do. */
export const HTTP1_PROTOCOLS: readonly string[] = ['istio-http/1.1', 'istio', 'http/1.1'];

const HTTP2 = ['h2', 'istio-h2'];
const HTTP1 = ['http/1.1', 'istio-http/1.1', 'istio-http/1.0'];
/** Says nothing of what is spoken. */
const ANY = 'istio';

/** In the order of preference. */
const ACCEPTED: Readonly<Record<PortProtocol, readonly string[]>> = {
  auto: [...HTTP2, ...HTTP1, ANY],
  http: [...HTTP2, ...HTTP1, ANY],
  http1: [...HTTP1, ANY],
  http2: [...HTTP2, ANY],
  grpc: [...HTTP2, ANY],
  tcp: [ANY, ...HTTP2, ...HTTP1],
};
