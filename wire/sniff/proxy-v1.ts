/** Version 1 of the PROXY protocol: one line of ASCII, at most 107 bytes with its CRLF (section 2.1). */
import { parseIp } from '#base/cidr.ts';
import type { ProxyAddress, ProxyFault, ProxyHeader } from './proxy-header.ts';

export function readProxyV1(bytes: Buffer, start: number, end: number): ProxyHeader | ProxyFault | 'more' {
  const seen = Math.min(end - start, SIGNATURE.length);
  if (bytes.toString('latin1', start, start + seen) !== SIGNATURE.slice(0, seen)) return 'proxy_signature';
  const feed = bytes.subarray(start, Math.min(end, start + LINE_MAX)).indexOf(LINE_FEED);
  if (feed < 0) return end - start >= LINE_MAX ? 'proxy_too_long' : 'more';
  if (bytes[start + feed - 1] !== CARRIAGE_RETURN) return 'proxy_line_end';
  const words = bytes.toString('latin1', start, start + feed - 1).split(' ');
  const length = feed + 1;
  const family = words[1];
  // Whatever stands behind it is to be ignored.
  if (family === 'UNKNOWN') return { version: 1, length, source: null, destination: null };
  if ((family !== 'TCP4' && family !== 'TCP6') || words.length !== 6) return 'proxy_family';
  const source = readAddress(family, words[2] ?? '', words[4] ?? '');
  const destination = readAddress(family, words[3] ?? '', words[5] ?? '');
  if (typeof source === 'string') return source;
  if (typeof destination === 'string') return destination;
  return { version: 1, length, source, destination };
}

function readAddress(family: 'TCP4' | 'TCP6', address: string, port: string): ProxyAddress | ProxyFault {
  if (address.includes(':') !== (family === 'TCP6')) return 'proxy_address';
  const ip = parseIp(address);
  if (ip === null) return 'proxy_address';
  if (!/^(?:0|[1-9][0-9]{0,4})$/.test(port) || Number(port) > 65_535) return 'proxy_port';
  return { address: ip.length === 4 ? ip.join('.') : address.toLowerCase(), port: Number(port) };
}

const SIGNATURE = 'PROXY ';
const LINE_MAX = 107;
const CARRIAGE_RETURN = 13;
const LINE_FEED = 10;
