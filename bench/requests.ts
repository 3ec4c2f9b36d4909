/**
 * The literal requests of the load: 10,000 distinct paths per kind, so that no cache keyed by path flatters anybody.
 * A file of requests is what bench/load/load.c reads: each ends with a NUL byte.
 */
import { writeFileSync } from 'node:fs';
import { ALLOWED_PREFIX, DENIED_PREFIX } from './policy-set.ts';

export const REQUEST_KINDS = ['plain', 'headers', 'denied', '100k', '10m', 'grpc'] as const;
export type RequestKind = (typeof REQUEST_KINDS)[number];

export function writeRequests(file: string, kind: RequestKind): void {
  const prefix = kind === 'denied' ? DENIED_PREFIX : ALLOWED_PREFIX;
  const lines = kind === 'headers' ? HEADERS : kind === 'grpc' ? GRPC : [];
  const fields = lines.map((line) => `${line}\r\n`).join('');
  const method = kind === 'grpc' ? 'POST' : 'GET';
  const folder = kind === '100k' || kind === '10m' ? `${kind}/` : '';
  const body = kind === 'grpc' ? 'x'.repeat(100) : '';
  let all = '';
  for (let i = 0; i < PATHS; i++) {
    // 7919 is prime to 10,000: neighbours in time are no neighbours in spelling.
    const id = String((i * 7919) % PATHS).padStart(5, '0');
    all += `${method} ${prefix}${folder}${id} HTTP/1.1\r\nHost: orders.bench.test\r\n${fields}\r\n${body}\0`;
  }
  writeFileSync(file, all);
}

export const PATHS = 10_000;

// What grpc-js sends beside them.
const GRPC = [
  'Content-Type: application/grpc',
  'TE: trailers',
  'Grpc-Accept-Encoding: identity,deflate,gzip',
  'Accept-Encoding: identity',
  'User-Agent: grpc-node-js/1.14.7',
];

// What a browser's call through a gateway carries: 11 fields, a head of 1.3 KB.
const HEADERS = [
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0 Safari/537.36',
  'Accept: application/json, text/plain, */*',
  'Accept-Encoding: gzip, deflate, br',
  'Accept-Language: en-US,en;q=0.9',
  `Authorization: Bearer ${'a'.repeat(600)}`,
  'X-Request-Id: 0b1c2d3e-4f50-4172-8394-a5b6c7d8e9f0',
  'Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  `Cookie: session=${'b'.repeat(120)}`,
  'Cache-Control: no-cache',
  'Referer: https://shop.bench.test/orders/123',
  'X-Tenant: tenant-17',
];
