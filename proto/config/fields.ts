/**
 * The kinds of value that a configuration file is made of, as schemas. Each takes what stands in the file and gives what the
 * data process wants: milliseconds, bytes, addresses.
 *
 * INVARIANT: the `error` of every schema is the text of what was wanted; faults.ts puts what was found in front of it.
 */
import { isIP } from 'node:net';

import { z } from 'zod';

import { parseCidr } from '#base/cidr.ts';
import { parseSpiffeId, parseTrustDomain } from '#certs/spiffe-id.ts';

import type { HostPort, ListenAddress } from './proxy.ts';
import {
  DURATION,
  SIZE,
  isFilePath,
  isHostName,
  parseDurationMs,
  parseHostPort,
  parseListenAddress,
  parseSizeBytes,
  parseTarget,
} from './units.ts';

// A process reads one file, some few times: to make functions of the schemas costs more than it saves. Here, before any schema.
z.config({ jitless: true });

export function choice<const Names extends readonly [string, ...string[]]>(names: Names, byDefault: Names[number]) {
  // The default is one of the names, which is what the enum gives.
  return z.enum(names, { error: oneOf(names) }).prefault(byDefault);
}

export function list<T extends z.ZodType>(item: T, wanted: string) {
  return z.array(item, { error: wanted });
}

export function flag(byDefault: boolean) {
  return z.boolean({ error: 'true or false' }).prefault(byDefault);
}

export function count(least: number, most: number) {
  const error = `a whole number from ${least} to ${most}`;
  return z.int({ error }).min(least, { error }).max(most, { error });
}

/** The highest uid is that of nobody's error: (uid_t) -1 means "none" to the kernel. */
export function uid() {
  return count(0, 4_294_967_294);
}

export function size(least: number, most: number) {
  const wanted = `a size from ${least} to ${most} bytes, as in 16384 or 16KiB`;
  const asText = z.string({ error: wanted }).regex(SIZE, { error: wanted });
  return z.union([z.int({ error: wanted }), asText], { error: wanted }).transform((value, context): number => {
    const bytes = typeof value === 'number' ? value : parseSizeBytes(value);
    if (bytes !== null && bytes >= least && bytes <= most) return bytes;
    return refuse(context, value, wanted);
  });
}

export function duration(leastMs: number) {
  const wanted = `a duration from ${leastMs}ms to 24h, as in 5s or 250ms`;
  const schema = z.string({ error: wanted }).regex(DURATION, { error: wanted });
  return schema.transform((value, context): number => {
    const ms = parseDurationMs(value);
    if (ms !== null && ms >= leastMs && ms <= MOST_MS) return ms;
    return refuse(context, value, wanted);
  });
}

export function filePath() {
  return text('a path', (value) => (isFilePath(value) ? value : null));
}

export function listenAddress() {
  return text<ListenAddress>('host:port, [v6]:port or unix:path, as in 127.0.0.1:15006', parseListenAddress);
}

export function statusAddress() {
  return text('host:port, as in 127.0.0.1:15021', parseHostPort);
}

/** Where something is forwarded to: one address and no scheme. */
export function target() {
  return text<HostPort>('host:port without a scheme, as in 127.0.0.1:8080', (value) => {
    const address = parseHostPort(value);
    return address === null || address.port === 0 ? null : address;
  });
}

/** The same, with the protocol of the workload in front where it is not the usual one. */
export function workload() {
  return text('host:port, http://host:port or h2c://host:port, as in 127.0.0.1:8080', parseTarget);
}

export function cidr() {
  return text('an address or a CIDR', (value) => (parseCidr(value) === null ? null : value));
}

export function ipAddress() {
  return text('an IP address', (value) => (isIP(value) === 0 ? null : value));
}

export function hostName() {
  // RFC 6066, section 3: a server name is never an address.
  return text('a DNS name', (value) => (isHostName(value) && !/^[\d.]+$/u.test(value) ? value : null));
}

/** A host as a URL names it, compared in lower case; an IPv6 address stands without brackets. */
export function keyHost() {
  return text('a host name or an IP address', (value) => (isHostName(value) || isIP(value) !== 0 ? value.toLowerCase() : null));
}

export function spiffeId() {
  return text('a SPIFFE ID with a path, as in spiffe://example.org/ns/shop/sa/web', (value) => {
    const parsed = parseSpiffeId(value);
    return parsed.ok && parsed.id.path !== '' ? value : null;
  });
}

export function trustDomain() {
  return text(WANTED_TRUST_DOMAIN, (value) => (isTrustDomain(value) ? value : null));
}

/** A peer by its SPIFFE ID or its address. */
export function forwarder() {
  return text('a SPIFFE ID, an address or a CIDR', (value) => {
    const isKnown = value.startsWith('spiffe:') ? parseSpiffeId(value).ok : parseCidr(value) !== null;
    return isKnown ? value : null;
  });
}

export function dnsLabel() {
  return text('a DNS label: at most 63 lower-case letters, digits and -', (value) => (DNS_LABEL.test(value) ? value : null));
}

export function dnsName() {
  return text('a DNS name: lower-case letters, digits, - and .', (value) => {
    return value.length <= 253 && value.split('.').every((label) => DNS_LABEL.test(label)) ? value : null;
  });
}

/** Whether the text is the name of a trust domain; a SPIFFE ID is not taken for its trust domain here. */
export function isTrustDomain(value: string): boolean {
  const parsed = parseTrustDomain(value);
  return parsed.ok && parsed.trustDomain === value;
}

/** `A, B or C`. */
export function oneOf(names: readonly string[]): string {
  const last = names.at(-1) ?? '';
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} or ${last}`;
}

/** A text that is read into something else; null is a fault. */
export function text<T>(wanted: string, parse: (value: string) => T | null) {
  return z.string({ error: wanted }).transform((value, context): T => parse(value) ?? refuse(context, value, wanted));
}

function refuse(context: z.RefinementCtx, input: unknown, wanted: string): never {
  context.issues.push({ code: 'custom', message: wanted, input });
  return z.NEVER;
}

export const WANTED_TRUST_DOMAIN = 'a trust domain, as in example.org';

const MOST_MS = 86_400_000;
const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/u;
