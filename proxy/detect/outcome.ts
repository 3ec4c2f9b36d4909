/**
 * What becomes of a connection by its first bytes and by what its port is for: a table, so that every fail-closed branch can be seen
 * and tested. Bytes that nobody knows are carried as raw TCP only where no policy reads requests.
 */
import type { PortProtocol } from '#proto/config/proxy.ts';
import type { ClientHello } from '#wire/sniff/client-hello.ts';
import type { FirstBytes } from '#wire/sniff/first-bytes.ts';
import type { Failure } from '../failure.ts';

/** What was seen: first bytes, no bytes in time, too few in time, or the caller's end before it said a word. */
export type Seen = FirstBytes | 'silence' | 'unclear' | 'end';

/** `tcp_tentative`: raw TCP if the upstream is the first to speak; what the caller says first is looked at nevertheless. */
export type Outcome = 'http1' | 'http2' | 'tcp' | 'tcp_tentative' | 'close' | Failure | 'more';

/** Protocols that need the first bytes to be looked at. */
export function isDetected(protocol: PortProtocol): protocol is 'auto' | 'http' {
  return protocol === 'auto' || protocol === 'http';
}

/** @param readsHttp  whether a policy in force for the port reads what only requests have */
export function outcomeOf(seen: Seen, protocol: 'auto' | 'http', readsHttp: boolean): Outcome {
  switch (seen) {
    case 'more':
      return 'more';
    case 'http1':
    case 'http2':
      return seen;
    case 'proxy':
      // From a listed sender it was taken off before.
      return 'bad_proxy_header';
    case 'end':
      // A probe of whether the port is open.
      return 'close';
    case 'silence':
      if (protocol === 'http') return 'http1';
      return readsHttp ? 'undetected' : 'tcp_tentative';
    case 'tls':
    case 'raw':
    case 'unclear':
      // Where HTTP is declared its reader refuses what is none, and says how.
      if (protocol === 'http') return 'http1';
      return readsHttp ? 'undetected' : 'tcp';
  }
}

/** What a PERMISSIVE port does with a connection that begins with a ClientHello. */
export type HelloOutcome = 'terminate' | 'pass' | Failure;

/**
 * As Istio's filter chains have it (filterchain_options.go): mutual TLS of the mesh is known by the protocols that it offers. Other TLS
 * is the app's own and passes as raw TCP without a principal, but not to a port that is declared to speak HTTP.
 */
export function helloOutcome(hello: ClientHello, protocol: PortProtocol): HelloOutcome {
  if (hello.alpn.some((name) => MESH_ALPN.has(name))) return 'terminate';
  return protocol === 'auto' || protocol === 'tcp' ? 'pass' : 'foreign_tls';
}

const MESH_ALPN: ReadonlySet<string> = new Set(['istio', 'istio-peer-exchange', 'istio-http/1.0', 'istio-http/1.1', 'istio-h2']);
