/**
 * Which hosts key sets may be fetched from. A name is resolved first, and the connection goes to an address that was looked at: whoever
 * writes a policy, or answers for a name, must not make this machine ask its own neighbours (loopback, private and link-local networks,
 * metadata services). Hosts that the configuration names are free of that.
 */
import { lookup, type LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';

import { cidrContains, parseCidr, parseIp } from '#base/cidr.ts';

/** Whether the textual address belongs to a host of the public internet. */
export function isPublicAddress(text: string): boolean {
  const address = parseIp(text);
  if (address === null) return false;
  if (address.length === 4) return !RESERVED_V4.some((block) => cidrContains(block, address));
  return GLOBAL_V6.some((block) => cidrContains(block, address)) && !RESERVED_V6.some((block) => cidrContains(block, address));
}

/**
 * Resolves names as `dns.lookup` does, and fails with the code `EADDRESS` when any of the addresses is not public.
 *
 * @param isFree  whether the host may have any address
 */
export function guardedLookup(isFree: (host: string) => boolean): LookupFunction {
  return (host, options, callback) => {
    lookup(host, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, [], 0);
      const fault = isFree(host) ? null : faultOf(addresses);
      if (fault !== null) return callback(fault, [], 0);
      const [first] = addresses;
      if (options.all === true || first === undefined) return callback(null, addresses, 0);
      callback(null, first.address, first.family);
    });
  };
}

/** One address that is not public is enough: of several a connection may go to any. */
function faultOf(addresses: readonly LookupAddress[]): NodeJS.ErrnoException | null {
  const bad = addresses.find(({ address }) => !isPublicAddress(address));
  return bad === undefined ? null : Object.assign(new Error(`the address ${bad.address}`), { code: PRIVATE_ADDRESS });
}

function blocks(texts: readonly string[]) {
  return texts.flatMap((text) => parseCidr(text) ?? []);
}

export const PRIVATE_ADDRESS = 'EADDRESS';

/** The IPv4 addresses that are not globally reachable (IANA's special-purpose registry, RFC 6890), and multicast. */
const RESERVED_V4 = blocks([
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
]);
/** Global unicast (RFC 4291); everything else of IPv6 is local, or not assigned. */
const GLOBAL_V6 = blocks(['2000::/3']);
/** Special purposes, documentation, and addresses that hold one of IPv4 inside (6to4, Teredo). */
const RESERVED_V6 = blocks(['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']);
