import { describe, expect, test } from 'vitest';

import { envoyInput } from './envoy-input.ts';
import type { EnvoyRequest } from './envoy-input.ts';

const REQUEST: EnvoyRequest = {
  source: { address: '10.1.2.3', port: 40_001, principal: 'spiffe://cluster.local/ns/shop/sa/web' },
  destination: { address: '10.1.2.4', port: 8080, principal: 'spiffe://cluster.local/ns/shop/sa/orders' },
  id: '42',
  method: 'GET',
  path: '/api/v1/a%2Fb/?q=1&q=two+2&x',
  host: 'orders.shop',
  scheme: 'https',
  protocol: 'HTTP/2',
  headers: { 'user-agent': 'curl/8', __proto__x: 'y' },
  size: -1,
  timeMs: 1_767_225_600_250,
  body: null,
  sni: 'orders.shop',
};

describe('envoyInput()', () => {
  test('gives the document of opa-envoy-plugin', () => {
    expect(read({}, false)).toEqual({
      attributes: {
        source: {
          address: { socketAddress: { address: '10.1.2.3', portValue: 40_001 } },
          principal: 'spiffe://cluster.local/ns/shop/sa/web',
        },
        destination: {
          address: { socketAddress: { address: '10.1.2.4', portValue: 8080 } },
          principal: 'spiffe://cluster.local/ns/shop/sa/orders',
        },
        request: {
          time: { seconds: 1_767_225_600, nanos: 250_000_000 },
          http: {
            id: '42',
            method: 'GET',
            headers: {
              ':authority': 'orders.shop',
              ':method': 'GET',
              ':path': REQUEST.path,
              ':scheme': 'https',
              'user-agent': 'curl/8',
              __proto__x: 'y',
            },
            path: REQUEST.path,
            host: 'orders.shop',
            scheme: 'https',
            protocol: 'HTTP/2',
            size: -1,
          },
        },
        metadataContext: {},
        routeMetadataContext: {},
        tlsSession: { sni: 'orders.shop' },
      },
      parsed_path: ['api', 'v1', 'a', 'b', ''],
      parsed_query: { q: ['1', 'two 2'], x: [''] },
      source_principal: 'spiffe://cluster.local/ns/shop/sa/web',
      version: { encoding: 'protojson', ext_authz: 'v3' },
    });
  });

  test.each([
    ['/', ['']],
    ['//a', ['a']],
    ['/a/b/', ['a', 'b', '']],
    ['/%C3%BC', ['ü']],
    ['*', ['*']],
  ])('path %s is %j', (path, parsed) => {
    expect(read({ path }, false)).toMatchObject({ parsed_path: parsed });
  });

  test('leaves out what is not set', () => {
    const document = read(
      { source: { address: '10.1.2.3', port: 1, principal: null }, destination: null, id: '', sni: '' },
      false,
    );
    expect(document).not.toHaveProperty('source_principal');
    expect(document).not.toHaveProperty('attributes.destination');
    expect(document).not.toHaveProperty('attributes.tlsSession');
    expect(document).not.toHaveProperty('attributes.source.principal');
    expect(document).not.toHaveProperty('parsed_body');
  });

  test.each([
    {
      why: 'JSON',
      type: 'application/json; charset=utf-8',
      text: '{"a":[1,2.5]}',
      want: { parsed_body: { a: [1, 2.5] }, truncated_body: false },
    },
    { why: 'an empty body', type: 'application/json', text: '', want: { parsed_body: null, truncated_body: false } },
    {
      why: 'a form',
      type: 'application/x-www-form-urlencoded',
      text: 'a=1&a=2&b=',
      want: { parsed_body: { a: ['1', '2'], b: [''] }, truncated_body: false },
    },
    { why: 'gRPC', type: 'application/grpc', text: '\0\0\0\0\0', want: { parsed_body: null, truncated_body: false } },
    { why: 'another type', type: 'text/plain', text: '{}', want: { parsed_body: null, truncated_body: false } },
  ])('parses $why', ({ text, type, want }) => {
    const given = { headers: { 'content-type': type }, body: { bytes: Buffer.from(text), isPartial: false } };
    expect(read(given, true)).toMatchObject(want);
  });

  test.each([
    { why: 'that is cut off', headers: { 'content-type': 'application/json' }, isPartial: true },
    {
      why: 'that is shorter than announced',
      headers: { 'content-type': 'application/json', 'content-length': '99' },
      isPartial: false,
    },
    {
      why: 'that Envoy calls partial',
      headers: { 'content-type': 'application/json', 'x-envoy-auth-partial-body': 'true' },
      isPartial: false,
    },
  ])('a body $why is truncated', ({ headers, isPartial }) => {
    const document = read({ headers, body: { bytes: Buffer.from('{"a":'), isPartial } }, true);
    expect(document).toMatchObject({ parsed_body: null, truncated_body: true });
  });

  test.each([
    { why: 'an escape that is none', change: { path: '/a%zz' }, code: 'opa_request_path' },
    { why: 'a query with a bad escape', change: { path: '/a?x=%' }, code: 'opa_request_query' },
    { why: 'a query with a semicolon', change: { path: '/a?x=1;y=2' }, code: 'opa_request_query' },
    { why: 'JSON that is none', change: body('application/json', '{"a":'), code: 'opa_request_body' },
    { why: 'JSON with a key twice', change: body('application/json', '{"a":1,"a":2}'), code: 'opa_request_body' },
    { why: 'a form that is none', change: body('application/x-www-form-urlencoded', 'a=%2'), code: 'opa_request_body' },
    {
      why: 'a length that is none',
      change: { ...body('application/json', '{}'), headers: { 'content-type': 'application/json', 'content-length': 'x' } },
      code: 'opa_request_body',
    },
  ])('refuses $why', ({ change, code }) => {
    expect(envoyInput({ ...REQUEST, ...change }, { parseBody: true })).toEqual({ ok: false, code });
  });
});

function body(type: string, text: string): Partial<EnvoyRequest> {
  return { headers: { 'content-type': type }, body: { bytes: Buffer.from(text), isPartial: false } };
}

function read(change: Partial<EnvoyRequest>, parseBody: boolean): unknown {
  const result = envoyInput({ ...REQUEST, ...change }, { parseBody });
  return result.ok ? JSON.parse(result.json) : result;
}
