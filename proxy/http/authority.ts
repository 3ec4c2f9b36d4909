/**
 * Host and port of a request as they are compared (RFC 9110, section 7.2; RFC 3986, section 3.2): lower case, one trailing dot and
 * an empty port dropped. Only names, IPv4 addresses and bracketed IPv6 addresses are taken; user info, blanks, commas and every
 * other character of a URI are refused.
 */

import { isIPv6 } from 'node:net';

/** An authority in parts. */
export interface Authority {
  /** Lower case, without a trailing dot; an IPv6 address in its brackets. */
  readonly host: string;
  /** The port as it was given, null for none. */
  readonly port: number | null;
}

/** Parses `host[:port]`, null when it is not one. */
export function parseAuthority(text: string): Authority | null {
  if (text.length > MAX_LENGTH) return null;
  const hostEnd = text.charCodeAt(0) === BRACKET ? text.indexOf(']') + 1 : nameEnd(text);
  if (hostEnd === 0) return null;
  let host = text.slice(0, hostEnd).toLowerCase();
  if (text.charCodeAt(0) === BRACKET) {
    if (!isIPv6(host.slice(1, -1)) || host.includes('%')) return null;
  } else if (host.endsWith('.')) {
    host = host.slice(0, -1);
    if (host === '' || host.endsWith('.')) return null;
  }
  if (hostEnd === text.length) return { host, port: null };
  if (text.charCodeAt(hostEnd) !== COLON) return null;
  const port = parsePort(text, hostEnd + 1);
  return port === BAD_PORT ? null : { host, port };
}

/** The text that policies compare with: the port stands in it when one was sent. */
export function authorityText(authority: Authority): string {
  return authority.port === null ? authority.host : `${authority.host}:${authority.port}`;
}

/** The port that a scheme has when none is named, null for a scheme that is not of HTTP. */
export function defaultPort(scheme: string): number | null {
  if (scheme === 'http') return 80;
  return scheme === 'https' ? 443 : null;
}

/** Length of the name at the start of `text`; 0 when there is none. */
function nameEnd(text: string): number {
  let index = 0;
  while (index < text.length && NAME[text.charCodeAt(index)] === 1) index++;
  return index;
}

function parsePort(text: string, start: number): number | null {
  if (start === text.length) return null;
  if (text.length - start > 5) return BAD_PORT;
  let port = 0;
  for (let index = start; index < text.length; index++) {
    const digit = text.charCodeAt(index) - 48;
    if (digit < 0 || digit > 9) return BAD_PORT;
    port = port * 10 + digit;
  }
  return port === 0 || port > 65_535 ? BAD_PORT : port;
}

const BRACKET = 91;
const COLON = 58;
const BAD_PORT = -1;
/** The longest DNS name with the longest port, with room for service names of meshes. */
const MAX_LENGTH = 300;

/** Bytes of a registered name: letters, digits, and the marks that names of services use. */
const NAME = new Uint8Array(128);
for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~') NAME[character.charCodeAt(0)] = 1;
