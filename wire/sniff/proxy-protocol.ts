/**
 * The PROXY protocol (HAProxy, "The PROXY protocol", versions 1 and 2): one reader for both versions, told apart by their first byte.
 * Whether the sender may tell is not asked here: believe it only from addresses that are listed.
 */
import type { ProxyFault, ProxyHeader } from './proxy-header.ts';
import { readProxyV1 } from './proxy-v1.ts';
import { readProxyV2 } from './proxy-v2.ts';

/** Reads a header of either version at `start`; `more` while the bytes are the beginning of one. */
export function readProxyHeader(bytes: Buffer, start: number, end: number): ProxyHeader | ProxyFault | 'more' {
  if (start >= end) return 'more';
  return bytes[start] === CARRIAGE_RETURN ? readProxyV2(bytes, start, end) : readProxyV1(bytes, start, end);
}

const CARRIAGE_RETURN = 13;
