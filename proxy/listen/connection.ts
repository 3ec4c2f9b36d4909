/** What is known of a downstream connection from the moment it was accepted, or verified; never changes afterwards. */
import type { ConnectionAttributes } from '#authz/engine/input.ts';

export interface Connection {
  readonly id: number;
  /** Name of the listener, for the log and metrics: `inbound/127.0.0.1:15006`. */
  readonly listener: string;
  readonly direction: 'inbound' | 'outbound';
  readonly peerAddress: string;
  readonly peerPort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** What the policy engine reads of it. */
  readonly attributes: ConnectionAttributes;
  /** Wall clock milliseconds after which the peer's SVID counts no more; Infinity without one. */
  readonly notAfterMs: number;
  /** Keys the pools: the peer's SPIFFE ID, or a name of this connection alone when the peer is anonymous. */
  readonly callerKey: string;
  /** The peer may speak for others (`trustedForwarders`). */
  readonly isTrustedForwarder: boolean;
  /** Field lines that go upstream with each request, each with its CRLF: who calls, as verified here. */
  readonly forwardedFields: Buffer;
  /** This peer's own element of `x-forwarded-client-cert`, '' on plaintext. */
  readonly clientCertElement: string;
  /** The part of each log line that the connection alone decides, JSON without braces. */
  readonly logFields: string;
  readonly openedMs: number;
}
