/** What a load balancer's header tells of the connection behind it, and what can be wrong with one. */
export interface ProxyHeader {
  readonly version: 1 | 2;
  /** Bytes of the header: what follows is the connection's own. */
  readonly length: number;
  /** The original caller; null when the balancer speaks for itself (LOCAL), does not know, or names no IP address. */
  readonly source: ProxyAddress | null;
  /** Where the caller had connected to; null with `source`. */
  readonly destination: ProxyAddress | null;
}

export interface ProxyAddress {
  /** Textual IPv4 or IPv6, an IPv4-mapped address already unmapped. */
  readonly address: string;
  readonly port: number;
}

/** Why bytes are no header of either version. */
export type ProxyFault =
  | 'proxy_signature'
  | 'proxy_line_end'
  | 'proxy_too_long'
  | 'proxy_family'
  | 'proxy_address'
  | 'proxy_port'
  | 'proxy_command'
  | 'proxy_length'
  | 'proxy_tlv'
  | 'proxy_checksum';

/** No header is longer: version 1 has 107 bytes, and what version 2 carries beside addresses is small. */
export const PROXY_HEADER_MAX = 4096;
