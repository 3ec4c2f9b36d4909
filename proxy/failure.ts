/**
 * Every way an exchange or a connection can fail. The reply, the log flag, the retry rule and the reference page
 * (docs/reference/failure-codes.md) are read from this table; nothing else in the data path knows a status.
 */
import { TOKEN_FAILURES } from './token-failures.ts';

/** Who is at fault: the peer that calls, the one that is called, or we. */
export type FailureSource = 'downstream' | 'upstream' | 'internal';

export interface FailureRow {
  /** Envoy's response flag where it has one, else ours; `response_flags` of the access log. */
  readonly flag: string;
  readonly source: FailureSource;
  /** Status of the reply; 0 where no reply is made and the connection just ends. */
  readonly http: number;
  readonly grpc: number;
  /**
   * Of a request whose body is not under way and that nothing was answered to: `if-idempotent`, to do it twice does no harm;
   * `if-reused`, that and its upstream connection had been used before; `always`, the upstream has not looked at it.
   */
  readonly retry: 'never' | 'if-reused' | 'if-idempotent' | 'always';
  /** Whether the downstream connection ends with it: where its framing can no longer be believed. */
  readonly closes: boolean;
  readonly what: string;
}

export const FAILURES = {
  denied_by_policy: { flag: 'RBAC', source: 'downstream', http: 403, grpc: 7, retry: 'never', closes: false, what: 'The policy denies the request.' },
  policy_unavailable: { flag: 'PUN', source: 'internal', http: 503, grpc: 14, retry: 'never', closes: false, what: 'No policy set is in force: none was found, none compiles, or its bundle is refused.' },
  policy_expired: { flag: 'PEX', source: 'internal', http: 503, grpc: 14, retry: 'never', closes: false, what: 'The policy bundle that was in force has expired, and no other has taken its place.' },
  revoked: { flag: 'RBAC', source: 'downstream', http: 403, grpc: 7, retry: 'never', closes: false, what: 'The policy in force now denies what was allowed when it began; it was ended while it was open.' },
  token_expired: { flag: 'UAEX', source: 'downstream', http: 401, grpc: 16, retry: 'never', closes: false, what: 'The token that the request came with ran out while it was open.' },
  ...TOKEN_FAILURES,
  engine_error: { flag: 'PEE', source: 'internal', http: 503, grpc: 14, retry: 'never', closes: false, what: 'The policy engine failed on this request.' },

  bad_request: { flag: 'DPE', source: 'downstream', http: 400, grpc: 13, retry: 'never', closes: true, what: 'The head breaks the grammar of HTTP/1.1 or its framing is ambiguous.' },
  bad_body: { flag: 'DPE', source: 'downstream', http: 400, grpc: 13, retry: 'never', closes: true, what: 'The body breaks the chunked coding or ends early; the upstream connection was reset.' },
  bad_path: { flag: 'DPE', source: 'downstream', http: 400, grpc: 13, retry: 'never', closes: true, what: 'The target or path cannot be brought into canonical form.' },
  bad_authority: { flag: 'DPE', source: 'downstream', http: 400, grpc: 13, retry: 'never', closes: true, what: 'Host is missing, given twice, invalid, or differs from an absolute target.' },
  bad_method: { flag: 'DPE', source: 'downstream', http: 400, grpc: 13, retry: 'never', closes: true, what: 'The method is not one to twenty upper-case letters.' },
  method_refused: { flag: 'DPE', source: 'downstream', http: 501, grpc: 12, retry: 'never', closes: true, what: 'CONNECT is not served here.' },
  bad_field: { flag: 'DPE', source: 'downstream', http: 400, grpc: 13, retry: 'never', closes: true, what: 'A field may not be sent so: Connection names a protected field, or a name with an underscore shadows one.' },
  unsupported_coding: { flag: 'DPE', source: 'downstream', http: 501, grpc: 12, retry: 'never', closes: true, what: 'A transfer coding other than chunked.' },
  unsupported_version: { flag: 'DPE', source: 'downstream', http: 505, grpc: 12, retry: 'never', closes: true, what: 'A version other than HTTP/1.0 and HTTP/1.1.' },
  expectation_failed: { flag: 'DPE', source: 'downstream', http: 417, grpc: 13, retry: 'never', closes: true, what: 'An expectation other than 100-continue.' },
  head_too_large: { flag: 'DPE', source: 'downstream', http: 431, grpc: 8, retry: 'never', closes: true, what: 'The head is larger than `limits.headBytes` or has more fields than `limits.fields`.' },
  upgrade_refused: { flag: 'DPE', source: 'downstream', http: 501, grpc: 12, retry: 'never', closes: true, what: 'The request asks to become something other than a WebSocket.' },
  upgrade_version: { flag: 'DPE', source: 'downstream', http: 426, grpc: 12, retry: 'never', closes: true, what: 'A WebSocket handshake of another version than 13.' },
  bad_upgrade: { flag: 'DPE', source: 'downstream', http: 400, grpc: 13, retry: 'never', closes: true, what: 'A WebSocket handshake that is none: the detail names what is wrong with it.' },

  not_a_tunnel: { flag: 'DPE', source: 'downstream', http: 400, grpc: 13, retry: 'never', closes: false, what: 'Something else than a plain CONNECT came to the port of HBONE.' },
  bad_tunnel: { flag: 'DPE', source: 'downstream', http: 400, grpc: 13, retry: 'never', closes: false, what: 'A CONNECT names no address and port, or none of this workload.' },
  tunnel_denied: { flag: 'RBAC', source: 'downstream', http: 401, grpc: 7, retry: 'never', closes: false, what: 'The policy denies connections to the port that a CONNECT names.' },
  http2_fault: { flag: 'DPE', source: 'downstream', http: 0, grpc: 13, retry: 'never', closes: true, what: 'The caller broke a rule or a limit of HTTP/2, which the detail names; its stream or its connection ended.' },

  grpc_message_too_large: { flag: 'DPE', source: 'downstream', http: 413, grpc: 8, retry: 'never', closes: false, what: 'A gRPC message is larger than `limits.grpcMessage`, by its own prefix; the detail says in which direction.' },

  head_timeout: { flag: 'DT', source: 'downstream', http: 408, grpc: 4, retry: 'never', closes: true, what: 'The head did not arrive within `timeouts.head`.' },
  body_timeout: { flag: 'DT', source: 'downstream', http: 408, grpc: 4, retry: 'never', closes: true, what: 'The request body was silent for `timeouts.bodyIdle`.' },
  downstream_closed: { flag: 'DC', source: 'downstream', http: 0, grpc: 1, retry: 'never', closes: true, what: 'The caller went away before the exchange was complete.' },
  tunnel_idle: { flag: 'SI', source: 'downstream', http: 0, grpc: 4, retry: 'never', closes: true, what: 'A tunnel was silent in both directions for `timeouts.tunnelIdle`.' },
  draining: { flag: 'SD', source: 'internal', http: 503, grpc: 14, retry: 'never', closes: true, what: 'The sidecar is shutting down.' },

  upstream_connect_failed: { flag: 'UF', source: 'upstream', http: 502, grpc: 14, retry: 'if-idempotent', closes: false, what: 'No connection to the upstream could be made.' },
  upstream_connect_timeout: { flag: 'UF', source: 'upstream', http: 504, grpc: 4, retry: 'if-idempotent', closes: false, what: 'The upstream did not accept within `timeouts.connect`.' },
  upstream_identity: { flag: 'UFI', source: 'upstream', http: 502, grpc: 14, retry: 'never', closes: false, what: 'The upstream did not prove an expected SPIFFE ID; no byte of the request was sent.' },
  upstream_reset: { flag: 'UC', source: 'upstream', http: 502, grpc: 14, retry: 'if-reused', closes: false, what: 'The upstream closed the connection before its response was complete.' },
  upstream_malformed: { flag: 'UPE', source: 'upstream', http: 502, grpc: 13, retry: 'never', closes: false, what: 'The response breaks HTTP/1.1, or the upstream switched protocols unasked.' },
  upstream_no_tunnel: { flag: 'UPE', source: 'upstream', http: 501, grpc: 12, retry: 'never', closes: false, what: 'The upstream speaks HTTP/2 without extended CONNECT (RFC 8441): no WebSocket can be opened to it.' },
  upstream_tunnel_refused: { flag: 'UF', source: 'upstream', http: 502, grpc: 14, retry: 'never', closes: false, what: 'The peer answered a CONNECT of ours with something else than a success.' },
  upstream_timeout: { flag: 'UT', source: 'upstream', http: 504, grpc: 4, retry: 'never', closes: false, what: 'The response head did not come within `timeouts.response`.' },
  upstream_refused: { flag: 'URX', source: 'upstream', http: 503, grpc: 14, retry: 'always', closes: false, what: 'The upstream took no more streams: it refused this one, or said GOAWAY before it.' },
  upstream_refused_svid: { flag: 'UFI', source: 'upstream', http: 502, grpc: 14, retry: 'if-idempotent', closes: false, what: 'The upstream closed after the handshake without a byte of its own, which is how a peer refuses our certificate.' },
  upstream_head_too_large: { flag: 'UPE', source: 'upstream', http: 431, grpc: 8, retry: 'never', closes: false, what: 'The head is larger than the upstream takes (SETTINGS_MAX_HEADER_LIST_SIZE).' },
  request_timeout: { flag: 'UMSDR', source: 'upstream', http: 504, grpc: 4, retry: 'never', closes: false, what: 'The exchange took longer than `timeouts.request`, or than the caller\'s `grpc-timeout`.' },
  no_healthy_endpoint: { flag: 'UH', source: 'upstream', http: 503, grpc: 14, retry: 'never', closes: false, what: 'Every endpoint is ejected.' },
  circuit_open: { flag: 'UO', source: 'upstream', http: 503, grpc: 14, retry: 'never', closes: false, what: 'As much goes to the upstream already as `circuit` allows: requests, requests that wait, or connections.' },
  upstream_overload: { flag: 'UO', source: 'upstream', http: 503, grpc: 14, retry: 'never', closes: false, what: 'As many upstream connections are open as are allowed.' },

  undetected: { flag: 'DPE', source: 'downstream', http: 0, grpc: 13, retry: 'never', closes: true, what: 'The first bytes are those of no known protocol, or none came, and the policies of the port are about requests: it is not carried as raw TCP.' },
  bad_proxy_header: { flag: 'DPE', source: 'downstream', http: 0, grpc: 13, retry: 'never', closes: true, what: 'A PROXY protocol header is malformed, is missing from a sender that has to send one, or came from a sender that may not.' },
  foreign_tls: { flag: 'DTLS', source: 'downstream', http: 0, grpc: 16, retry: 'never', closes: true, what: 'TLS that is not the mesh\'s came to a PERMISSIVE port that is declared to speak HTTP.' },
  tcp_idle: { flag: 'SI', source: 'downstream', http: 0, grpc: 4, retry: 'never', closes: true, what: 'A raw TCP connection was silent in both directions for `timeouts.tcpIdle`.' },
  tcp_age: { flag: 'DT', source: 'internal', http: 0, grpc: 14, retry: 'never', closes: true, what: 'A raw TCP connection reached `timeouts.tcpAge`.' },

  plaintext_on_mtls: { flag: 'DTLS', source: 'downstream', http: 0, grpc: 16, retry: 'never', closes: true, what: 'Bytes other than a TLS handshake came to a port that demands mutual TLS.' },
  tls_handshake: { flag: 'DTLS', source: 'downstream', http: 0, grpc: 16, retry: 'never', closes: true, what: 'The TLS handshake failed.' },
  handshake_timeout: { flag: 'DTLS', source: 'downstream', http: 0, grpc: 16, retry: 'never', closes: true, what: 'The TLS handshake took longer than `timeouts.handshake`.' },
  no_client_certificate: { flag: 'DTLS', source: 'downstream', http: 0, grpc: 16, retry: 'never', closes: true, what: 'The caller presented no certificate.' },
  svid_refused: { flag: 'DTLS', source: 'downstream', http: 0, grpc: 16, retry: 'never', closes: true, what: 'The caller\'s certificate is no valid X.509-SVID; the log names the clause.' },
  alpn_required: { flag: 'DTLS', source: 'downstream', http: 0, grpc: 16, retry: 'never', closes: true, what: 'The caller offered no application protocol.' },
  svid_expired: { flag: 'DTLS', source: 'downstream', http: 0, grpc: 16, retry: 'never', closes: true, what: 'The caller\'s SVID ran out, or its trust bundle no longer vouches for it, while the connection was open.' },
  uid_refused: { flag: 'UID', source: 'downstream', http: 0, grpc: 16, retry: 'never', closes: true, what: 'The connecting process runs under a uid that `allowUids` does not list.' },
  connection_limit: { flag: 'CL', source: 'downstream', http: 0, grpc: 8, retry: 'never', closes: true, what: 'A limit on connections was reached: of the listener, of the identity, or of pending handshakes.' },
  not_ready: { flag: 'NR', source: 'internal', http: 503, grpc: 14, retry: 'never', closes: true, what: 'There is no identity to serve with yet.' },
} as const satisfies Record<string, FailureRow>;

export type Failure = keyof typeof FAILURES;

/** The table, seen as rows. */
export function failureRow(failure: Failure): FailureRow {
  return FAILURES[failure];
}
