import { describe, expect, test } from 'vitest';

import { ChunkedDecoder } from '#wire/h1/chunked.ts';
import { FIELD_NAMES } from '#wire/h1/field-names.ts';
import { DEFAULT_HEAD_LIMITS, RequestHead, ResponseHead } from '#wire/h1/head.ts';
import { parseRequestHead } from '#wire/h1/request.ts';
import { parseResponseHead } from '#wire/h1/response.ts';
import { copyFields, copyTrailers } from '#wire/h1/serialise.ts';

import {
  FIELD_REFUSAL,
  fieldRefusalCode,
  fieldPolicy,
  filterRequestFields,
  filterResponseFields,
  filterTrailers,
} from './fields.ts';

const POLICY = fieldPolicy('allow', ['x-tenant', 'x_region']);

describe('filterRequestFields()', () => {
  test.each([
    'Connection: close',
    'Keep-Alive: timeout=5',
    'Proxy-Connection: keep-alive',
    'Proxy-Authorization: Basic x',
    'Proxy-Authenticate: Basic',
    'HTTP2-Settings: x',
    'Upgrade: x',
    'Expect: 100-continue',
    'Content-Length: 0',
    'Transfer-Encoding: chunked',
    'TE: gzip',
    'TE: trailers, gzip',
    'X-Forwarded-Client-Cert: a',
    'x-forwarded-CLIENT-cert: a',
    'X-Forwarded-For: 1.2.3.4',
    'Client-Cert: a',
    'Client-Cert-Chain: a',
    'X-Postern-Reason: a',
    'X-Postern-Decision-Id: a',
    'x-postern-whatever: a',
    'X-Envoy-Peer-Metadata: a',
    'X-Envoy-Peer-Metadata-Id: a',
    'X-Envoy-Peer-Metadata-New: a',
  ])('drops %s whoever sends it', (line) => {
    expect(kept(line, false)).toBe('');
    expect(kept(line, true)).toBe('');
  });

  test.each([
    'Forwarded: for=1.2.3.4',
    'X-Forwarded-Host: a',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Port: 443',
    'X-Forwarded-Prefix: /a',
    'X-Forwarded-Anything: a',
    'X-Real-Ip: 1.2.3.4',
    'X-Request-Id: a',
    'X-Original-Url: /admin',
    'X-Rewrite-Url: /admin',
    'X-Original-Host: a',
  ])('passes %s of a trusted forwarder only', (line) => {
    expect(kept(line, false)).toBe('');
    expect(kept(line, true)).toBe(`${line}\r\n`);
  });

  test.each([
    'Host: a',
    'Authorization: Bearer a',
    'Cookie: a=b',
    'TE: trailers',
    'TE: Trailers',
    'Trailer: X-Sum',
    'Traceparent: 00-a-b-01',
    'Baggage: a=b',
    'Via: 1.1 a',
    'X-Tenant: a',
    'x_region: a',
    'x_anything: a',
    'X-Forwarded: a',
    'X-Transfer-Encoding: chunked',
  ])('passes %s', (line) => {
    expect(kept(line, false)).toBe(`${line}\r\n`);
  });

  test('drops the fields that Connection names, and TE not, whose promise is kept', () => {
    expect(
      kept('Connection: X-Hop, te ,x-other\r\nX-HOP: 1\r\nTE: trailers\r\nX-Hops: 2\r\nx-other: 3\r\nx-other: 4', false),
    ).toBe('TE: trailers\r\nX-Hops: 2\r\n');
  });

  const PROTECTED = [
    'host',
    'content-length',
    'transfer-encoding',
    'authorization',
    'proxy-authorization',
    'cookie',
    'expect',
    'forwarded',
    'x-forwarded-for',
    'x-forwarded-client-cert',
    'x-forwarded-new',
    'client-cert',
    'x-real-ip',
    'x-request-id',
    'x-original-url',
    'x-postern-reason',
    'x-postern-new',
    'x-envoy-peer-metadata',
    'x-envoy-peer-metadata-x',
    'x-tenant',
    `x-forwarded-${'a'.repeat(80)}`,
  ];

  test.each(PROTECTED)('refuses a Connection that names %s in any spelling', (name) => {
    for (const spelling of [name, name.toUpperCase(), name.replaceAll('-', '_')]) {
      expect(refusal(`Connection: x, ${spelling}`)).toBe(FIELD_REFUSAL.connectionNamesProtected);
    }
  });

  test.each(PROTECTED.filter((name) => name.includes('-')))('refuses a name whose underscores shadow %s', (name) => {
    expect(refusal(`${name.replaceAll('-', '_')}: a`)).toBe(FIELD_REFUSAL.shadowsProtected);
    expect(refusal(`${name.replace('-', '_').toUpperCase()}: a`)).toBe(FIELD_REFUSAL.shadowsProtected);
  });

  test('takes a name that a policy itself writes with an underscore, and no other spelling of it', () => {
    expect(refusal('X_Region: a')).toBe(FIELD_REFUSAL.none);
    expect(refusal('Connection: x_region')).toBe(FIELD_REFUSAL.connectionNamesProtected);
  });

  test.each([
    ['allow', FIELD_REFUSAL.none, 'a_b: c\r\nd: e\r\n'],
    ['drop', FIELD_REFUSAL.none, 'd: e\r\n'],
    ['reject', FIELD_REFUSAL.underscore, null],
  ] as const)('does with other underscores as told: %s', (underscores, want, left) => {
    const head = parse('a_b: c\r\nd: e');
    expect(filterRequestFields(head, fieldPolicy(underscores, []), false)).toBe(want);
    if (left !== null) expect(written(head)).toBe(left);
  });

  test.each(['Authorization: a\r\nAuthorization: b', 'Content-Type: a\r\ncontent-type: a'])('refuses two of %j', (lines) => {
    expect(refusal(lines)).toBe(FIELD_REFUSAL.repeated);
  });

  test('bounds the options of Connection', () => {
    expect(refusal(`Connection: ${Array.from({ length: 32 }, (_, index) => `x${index}`).join(',')}`)).toBe(FIELD_REFUSAL.none);
    expect(refusal(`Connection: ${Array.from({ length: 33 }, (_, index) => `x${index}`).join(',')}`)).toBe(
      FIELD_REFUSAL.tooManyOptions,
    );
  });

  test('has a code for every refusal', () => {
    const codes = Object.values(FIELD_REFUSAL).map(fieldRefusalCode);
    expect(new Set(codes).size).toBe(codes.length);
    expect(codes[0]).toBe('');
  });
});

describe('filterResponseFields()', () => {
  test.each([
    ['Content-Length: 5\r\nX: y', 'GET', 200, 'X: y\r\n'],
    ['Content-Length: 5\r\nX: y', 'HEAD', 200, 'Content-Length: 5\r\nX: y\r\n'],
    ['Content-Length: 5\r\nX: y', 'GET', 304, 'Content-Length: 5\r\nX: y\r\n'],
    ['Content-Length: 0\r\nX: y', 'GET', 204, 'X: y\r\n'],
    ['Transfer-Encoding: chunked\r\nX: y', 'GET', 200, 'X: y\r\n'],
    ['Connection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: a\r\nX: y', 'GET', 200, 'X: y\r\n'],
    ['Set-Cookie: a\r\nSet-Cookie: b', 'GET', 200, 'Set-Cookie: a\r\nSet-Cookie: b\r\n'],
    ['X-Envoy-Peer-Metadata: a\r\nServer: b', 'GET', 200, 'Server: b\r\n'],
    ['Upgrade: h2c\r\nConnection: upgrade\r\nX: y', 'GET', 200, 'X: y\r\n'],
  ])('of %j to %s with %i leaves %j', (lines, method, status, want) => {
    const head = parseResponse(lines, method, status);
    expect(filterResponseFields(head, false)).toBe(true);
    expect(written(head)).toBe(want);
  });

  test('passes what another sidecar found, and not what an app says it found', () => {
    const lines = 'X-Postern-Reason: denied_by_policy\r\nX-Postern-Decision-Id: 7\r\nx-postern-new: a';
    const ofApp = parseResponse(lines, 'GET', 403);
    const ofSidecar = parseResponse(lines, 'GET', 403);
    expect(filterResponseFields(ofApp, false)).toBe(true);
    expect(filterResponseFields(ofSidecar, true)).toBe(true);
    expect(written(ofApp)).toBe('');
    expect(written(ofSidecar)).toBe(`${lines}\r\n`);
  });

  test('does not believe a Connection with more options than anyone needs', () => {
    expect(filterResponseFields(parseResponse(`Connection: ${'x,'.repeat(40)}`, 'GET', 200), false)).toBe(false);
  });
});

describe('filterTrailers()', () => {
  test.each([
    'Host',
    'Content-Length',
    'Transfer-Encoding',
    'Connection',
    'TE',
    'Trailer',
    'Authorization',
    'authorization',
    'Proxy-Authorization',
    'Cookie',
    'Set-Cookie',
    'Content-Type',
    'Expect',
    'X-Forwarded-Client-Cert',
    'x_forwarded_client_cert',
    'X-Forwarded-For',
    'Forwarded',
    'X-Request-Id',
    'X-Postern-Reason',
    'content_length',
    'X-Tenant',
    'x_tenant',
  ])('drops %s', (name) => {
    expect(keptTrailers(`${name}: a\r\nX-Sum: 1\r\n`)).toEqual({ kept: 1, text: 'X-Sum: 1\r\n' });
  });

  test('passes those of gRPC', () => {
    const lines = 'grpc-status: 0\r\ngrpc-message: ok\r\nx_other: 1\r\n';
    expect(keptTrailers(lines)).toEqual({ kept: 3, text: lines });
  });
});

test('every known name has its own id', () => {
  expect(new Set(Object.values(FIELD_NAMES)).size).toBe(Object.keys(FIELD_NAMES).length);
});

function parse(lines: string): RequestHead {
  const bytes = Buffer.from(`GET / HTTP/1.1\r\n${lines}\r\n\r\n`, 'latin1');
  const head = new RequestHead();
  expect(parseRequestHead(bytes, 0, bytes.length, head, DEFAULT_HEAD_LIMITS)).toBe(bytes.length);
  return head;
}

function parseResponse(lines: string, method: string, status: number): ResponseHead {
  const bytes = Buffer.from(`HTTP/1.1 ${status} x\r\n${lines}\r\n\r\n`, 'latin1');
  const head = new ResponseHead();
  expect(parseResponseHead(bytes, 0, bytes.length, head, DEFAULT_HEAD_LIMITS, method)).toBe(bytes.length);
  return head;
}

function kept(lines: string, isTrusted: boolean): string {
  const head = parse(lines);
  expect(filterRequestFields(head, POLICY, isTrusted)).toBe(FIELD_REFUSAL.none);
  return written(head);
}

function refusal(lines: string): number {
  return filterRequestFields(parse(lines), POLICY, false);
}

function written(head: RequestHead | ResponseHead): string {
  const out = Buffer.alloc(4096);
  return out.toString('latin1', 0, copyFields(head, out, 0));
}

function keptTrailers(lines: string): { kept: number; text: string } {
  const decoder = new ChunkedDecoder();
  const bytes = Buffer.from(`0\r\n${lines}\r\n`, 'latin1');
  for (let at = 0; at < bytes.length;) at = decoder.next(bytes, at, bytes.length);
  const { trailers } = decoder;
  if (trailers === null) return { kept: -1, text: '' };
  const left = filterTrailers(trailers, POLICY);
  const out = Buffer.alloc(1024);
  return { kept: left, text: out.toString('latin1', 0, copyTrailers(trailers, out, 0)) };
}
