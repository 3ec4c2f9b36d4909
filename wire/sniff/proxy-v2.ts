/**
 * Version 2 of the PROXY protocol: twelve bytes that are no other protocol's, then binary addresses and extensions, each with its
 * length (section 2.2). Extensions are checked, their checksum included, and tell nothing that is used here.
 */
import { crc32c } from './crc32c.ts';
import { PROXY_HEADER_MAX, type ProxyAddress, type ProxyFault, type ProxyHeader } from './proxy-header.ts';

export function readProxyV2(bytes: Buffer, start: number, end: number): ProxyHeader | ProxyFault | 'more' {
  const seen = Math.min(end - start, SIGNATURE.length);
  if (bytes.compare(SIGNATURE, 0, seen, start, start + seen) !== 0) return 'proxy_signature';
  if (end - start < FIXED_BYTES) return 'more';
  const command = bytes[start + 12] ?? 0;
  if (command !== LOCAL && command !== PROXY) return 'proxy_command';
  const length = FIXED_BYTES + bytes.readUInt16BE(start + 14);
  if (length > PROXY_HEADER_MAX) return 'proxy_too_long';
  const kind = bytes[start + 13] ?? 0;
  const addressBytes = ADDRESS_BYTES.get(kind);
  if (command === PROXY && addressBytes === undefined) return 'proxy_family';
  if (command === PROXY && length < FIXED_BYTES + (addressBytes ?? 0)) return 'proxy_length';
  if (end - start < length) return 'more';
  // The balancer speaks for itself, as in a health check: what else it says is to be passed over.
  if (command === LOCAL) return { version: 2, length, source: null, destination: null };
  const header = bytes.subarray(start, start + length);
  const fault = extensionFault(header, FIXED_BYTES + (addressBytes ?? 0));
  if (fault !== null) return fault;
  if (kind === TCP_OVER_IPV4) {
    return { version: 2, length, source: ipv4(header, 16, 24), destination: ipv4(header, 20, 26) };
  }
  if (kind === TCP_OVER_IPV6) {
    return { version: 2, length, source: ipv6(header, 16, 48), destination: ipv6(header, 32, 50) };
  }
  return { version: 2, length, source: null, destination: null };
}

function ipv4(header: Buffer, at: number, portAt: number): ProxyAddress {
  return { address: header.subarray(at, at + 4).join('.'), port: header.readUInt16BE(portAt) };
}

function ipv6(header: Buffer, at: number, portAt: number): ProxyAddress {
  const isMapped = header.compare(MAPPED, 0, MAPPED.length, at, at + MAPPED.length) === 0;
  const port = header.readUInt16BE(portAt);
  if (isMapped) return { address: header.subarray(at + 12, at + 16).join('.'), port };
  const groups: string[] = [];
  for (let group = 0; group < 16; group += 2) groups.push(header.readUInt16BE(at + group).toString(16));
  return { address: groups.join(':'), port };
}

/** Walks over type, length and value of each, which have to fill the header exactly. */
function extensionFault(header: Buffer, from: number): ProxyFault | null {
  let at = from;
  while (at < header.length) {
    if (header.length - at < 3) return 'proxy_tlv';
    const type = header[at] ?? 0;
    const length = header.readUInt16BE(at + 1);
    const value = at + 3;
    if (length > header.length - value) return 'proxy_tlv';
    if (type === TLV_CRC32C) {
      if (length !== 4) return 'proxy_tlv';
      // Taken over the whole header with this value as zeros.
      const zeroed = Buffer.from(header);
      zeroed.fill(0, value, value + 4);
      if (crc32c(zeroed) !== header.readUInt32BE(value)) return 'proxy_checksum';
    } else if (type === TLV_UNIQUE_ID) {
      if (length > UNIQUE_ID_MAX) return 'proxy_tlv';
    } else if (type === TLV_SSL && !isSslValid(header, value, value + length)) {
      return 'proxy_tlv';
    }
    at = value + length;
  }
  return null;
}

/** One byte of flags, four of a result, then extensions of its own. */
function isSslValid(header: Buffer, from: number, end: number): boolean {
  let at = from + 5;
  while (at < end) {
    if (end - at < 3) return false;
    at += 3 + header.readUInt16BE(at + 1);
  }
  return at === end;
}

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const FIXED_BYTES = 16;
/** Version 2 in the upper half, the command in the lower. */
const LOCAL = 0x20;
const PROXY = 0x21;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;
/** By family and transport: those of no family, IPv4, IPv6 and Unix sockets that a stream can be. */
const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [0x00, 0],
  [TCP_OVER_IPV4, 12],
  [TCP_OVER_IPV6, 36],
  [0x31, 216],
]);
const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');
const TLV_CRC32C = 0x03;
const TLV_UNIQUE_ID = 0x05;
const TLV_SSL = 0x20;
const UNIQUE_ID_MAX = 128;
