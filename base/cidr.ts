/**
 * IP addresses and CIDR blocks as bytes (RFC 4291, RFC 4632). An IPv4-mapped IPv6 address is the IPv4 address that it maps. Zone
 * identifiers, leading zeros in IPv4 and short IPv4 forms are refused, because programs read them differently.
 */

/** 4 or 16 bytes, or null for what is no address. */
export function parseIp(text: string): Uint8Array | null {
  if (text.includes(':')) return parseIpv6(text);
  return parseIpv4(text);
}

export interface CidrBlock {
  /** 4 or 16 bytes, bits beyond `prefixLength` zeroed. */
  readonly address: Uint8Array;
  readonly prefixLength: number;
}

/** `10.0.0.0/8`, `2001:db8::/32`, or a bare address, which is a block of one. */
export function parseCidr(text: string): CidrBlock | null {
  const slash = text.indexOf('/');
  const isV6 = text.includes(':');
  const bits = isV6 ? 128 : 32;
  const address = isV6
    ? parseIpv6Bytes(slash < 0 ? text : text.slice(0, slash))
    : parseIpv4(slash < 0 ? text : text.slice(0, slash));
  if (address === null) return null;
  const length = slash < 0 ? bits : parseDecimal(text.slice(slash + 1), bits);
  if (length === null) return null;
  const isMappedBlock = isV6 && length >= 96 && isMapped(address);
  const block = isMappedBlock ? address.slice(12) : address;
  const prefixLength = isMappedBlock ? length - 96 : length;
  return { address: masked(block, prefixLength), prefixLength };
}

/** Whether the address lies in the block; an address of the other family never does. */
export function cidrContains(block: CidrBlock, address: Uint8Array): boolean {
  if (address.length !== block.address.length) return false;
  for (let index = 0, left = block.prefixLength; left > 0; index++, left -= 8) {
    const mask = left >= 8 ? 0xff : (0xff << (8 - left)) & 0xff;
    if (((address[index] ?? 0) & mask) !== (block.address[index] ?? 0)) return false;
  }
  return true;
}

function parseIpv4(text: string): Uint8Array | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  const bytes = new Uint8Array(4);
  for (const [index, part] of parts.entries()) {
    const value = parseDecimal(part, 255);
    if (value === null) return null;
    bytes[index] = value;
  }
  return bytes;
}

function parseIpv6(text: string): Uint8Array | null {
  const bytes = parseIpv6Bytes(text);
  return bytes !== null && isMapped(bytes) ? bytes.slice(12) : bytes;
}

function parseIpv6Bytes(text: string): Uint8Array | null {
  if (text.length > MAX_IPV6_TEXT) return null;
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const head = parseGroups(halves[0] ?? '', halves.length === 1);
  if (head === null) return null;
  if (halves.length === 1) return head.length === 16 ? Uint8Array.from(head) : null;
  const tail = parseGroups(halves[1] ?? '', true);
  // "::" stands for at least one group.
  if (tail === null || head.length + tail.length > 14) return null;
  const bytes = new Uint8Array(16);
  bytes.set(head, 0);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

/** Groups between colons as bytes; the last may be a dotted IPv4 address where the address ends. */
function parseGroups(text: string, isEnd: boolean): number[] | null {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [index, group] of groups.entries()) {
    if (isEnd && index === groups.length - 1 && group.includes('.')) {
      const dotted = parseIpv4(group);
      if (dotted === null) return null;
      bytes.push(...dotted);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return null;
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    }
  }
  return bytes.length > 16 ? null : bytes;
}

function parseDecimal(text: string, max: number): number | null {
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(text)) return null;
  const value = Number(text);
  return value <= max ? value : null;
}

function isMapped(bytes: Uint8Array): boolean {
  for (let index = 0; index < 10; index++) if (bytes[index] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

function masked(address: Uint8Array, prefixLength: number): Uint8Array {
  const bytes = Uint8Array.from(address);
  for (let index = 0; index < bytes.length; index++) {
    const kept = Math.min(8, Math.max(0, prefixLength - 8 * index));
    bytes[index] = (bytes[index] ?? 0) & (0xff << (8 - kept)) & 0xff;
  }
  return bytes;
}

const MAX_IPV6_TEXT = 45;
