/** Values that stand as text in a configuration file: durations, sizes, addresses, prefixes. Each parser gives null for a fault. */
import { isIP, isIPv6 } from 'node:net';

import type { HostPort, ListenAddress, UpstreamProtocol } from './proxy.ts';

/** `250ms`, `5s`, `2m`, `1h`: milliseconds. One whole number and one unit. */
export function parseDurationMs(text: string): number | null {
  const match = DURATION.exec(text);
  const unit = MS_PER_UNIT.get(match?.[2] ?? '');
  return match === null || unit === undefined ? null : Number(match[1]) * unit;
}

/** `16384`, `16KiB`, `1MiB`: bytes. Powers of 1,024 only, so that nobody wonders what a K is. */
export function parseSizeBytes(text: string): number | null {
  const match = SIZE.exec(text);
  const unit = BYTES_PER_UNIT.get(match?.[2] ?? '');
  return match === null || unit === undefined ? null : Number(match[1]) * unit;
}

/** `host:port` or `[v6]:port`. Port 0 lets the system choose and is for listeners. */
export function parseHostPort(text: string): HostPort | null {
  const colon = text.lastIndexOf(':');
  if (colon < 1) return null;
  const port = parsePort(text.slice(colon + 1));
  const named = text.slice(0, colon);
  if (port === null) return null;
  if (named.startsWith('[') && named.endsWith(']')) {
    const host = named.slice(1, -1);
    return isIPv6(host) ? { host, port } : null;
  }
  return isHostName(named) ? { host: named, port } : null;
}

/** `host:port`, `[v6]:port` or `unix:path`. */
export function parseListenAddress(text: string): ListenAddress | null {
  if (!text.startsWith(UNIX)) return parseHostPort(text);
  const socket = text.slice(UNIX.length);
  return isFilePath(socket) ? { socket } : null;
}

/** `host:port`, `http://host:port` or `h2c://host:port`, as where something is forwarded to; no path, no port 0. */
export function parseTarget(text: string): (HostPort & { readonly protocol: UpstreamProtocol | null }) | null {
  const scheme = /^(http|h2c):\/\//u.exec(text);
  const address = parseHostPort(scheme === null ? text : text.slice(scheme[0].length));
  if (address === null || address.port === 0) return null;
  return { ...address, protocol: scheme === null ? null : scheme[1] === 'h2c' ? 'http2' : 'http1' };
}

/** Anything that the file system may be asked for. */
export function isFilePath(text: string): boolean {
  return text !== '' && !text.includes('\0');
}

/** A DNS name or IPv4 address as a person writes it; labels of letters, digits, `-` and `_`. */
export function isHostName(text: string): boolean {
  return text.length <= 253 && HOST_NAME.test(text) && (!LOOKS_NUMERIC.test(text) || isIP(text) === 4);
}

/** Whether only processes of this machine reach the address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** The address as it is written in a file. */
export function addressText(address: ListenAddress): string {
  if ('socket' in address) return `${UNIX}${address.socket}`;
  return isIPv6(address.host) ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

function parsePort(text: string): number | null {
  if (!/^(?:0|[1-9]\d{0,4})$/u.test(text)) return null;
  const port = Number(text);
  return port <= 65_535 ? port : null;
}

export const DURATION = /^(\d{1,9})(ms|s|m|h)$/u;
export const SIZE = /^(\d{1,9})(|B|KiB|MiB)$/u;

const UNIX = 'unix:';
const HOST_NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?$/u;
const LOOKS_NUMERIC = /^[\d.]+$/u;
const MS_PER_UNIT = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
]);
const BYTES_PER_UNIT = new Map([
  ['', 1],
  ['B', 1],
  ['KiB', 1_024],
  ['MiB', 1_048_576],
]);
