import { describe, expect, test } from 'vitest';

import { readEnvoyDecision } from './envoy-decision.ts';

describe('readEnvoyDecision()', () => {
  test.each([true, false])('%s is a decision', (allowed) => {
    expect(readEnvoyDecision(String(allowed))).toMatchObject({ ok: true, allowed, httpStatus: 403, headers: [], body: null });
  });

  test('reads every member', () => {
    const document = {
      allowed: true,
      headers: { 'x-a': '1', 'x-b': ['2', '3'] },
      response_headers_to_add: [{ 'x-c': '4' }, { 'x-c': '5' }],
      request_headers_to_remove: ['authorization'],
      query_parameters_to_set: { q: ['1', '2'], r: '3' },
      query_parameters_to_remove: ['s'],
      body: 'no',
      http_status: 429,
      dynamic_metadata: { user: { id: 7 } },
      anything: 'else',
    };
    expect(readEnvoyDecision(JSON.stringify(document))).toEqual({
      ok: true,
      allowed: true,
      headers: [
        ['x-a', '1'],
        ['x-b', '2'],
        ['x-b', '3'],
      ],
      responseHeadersToAdd: [
        ['x-c', '4'],
        ['x-c', '5'],
      ],
      requestHeadersToRemove: ['authorization'],
      queryParametersToSet: [
        ['q', '1'],
        ['q', '2'],
        ['r', '3'],
      ],
      queryParametersToRemove: ['s'],
      body: 'no',
      httpStatus: 429,
      dynamicMetadata: { user: { id: 7 } },
    });
  });

  test.each([
    ['null', 'null'],
    ['a number', '1'],
    ['a text', '"true"'],
    ['a list', '[true]'],
    ['an object without allowed', '{}'],
    ['allowed that is a text', '{"allowed":"true"}'],
    ['allowed that is 1', '{"allowed":1}'],
    ['headers that are a text', '{"allowed":true,"headers":"x"}'],
    ['headers that are null', '{"allowed":true,"headers":null}'],
    ['a header that is a number', '{"allowed":true,"headers":{"x":1}}'],
    ['a header with a line end', JSON.stringify({ allowed: true, headers: { x: 'a\r\nb: c' } })],
    ['a header without a name', '{"allowed":true,"headers":{"":"x"}}'],
    ['a pseudo-header', '{"allowed":true,"headers":{":path":"/admin"}}'],
    ['a list of headers with a text in it', '{"allowed":true,"response_headers_to_add":["x"]}'],
    ['names that are a text', '{"allowed":true,"request_headers_to_remove":"x"}'],
    ['names that are numbers', '{"allowed":true,"request_headers_to_remove":[1]}'],
    ['parameters in a list', '{"allowed":true,"query_parameters_to_set":[]}'],
    ['a body that is an object', '{"allowed":false,"body":{}}'],
    ['a status that is a text', '{"allowed":false,"http_status":"403"}'],
    ['a status that is none', '{"allowed":false,"http_status":299}'],
    ['a status that ends nothing', '{"allowed":false,"http_status":101}'],
    ['a status with a fraction', '{"allowed":false,"http_status":403.5}'],
    ['metadata that is a list', '{"allowed":false,"dynamic_metadata":[]}'],
  ])('%s denies with opa_result_type', (_, json) => {
    expect(readEnvoyDecision(json)).toMatchObject({ ok: false, code: 'opa_result_type' });
  });
});
