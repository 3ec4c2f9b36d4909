/** The module for OPA: what OPA's own SDK asks of it, the exports of the interface that the SDK does not use, inputs that are none. */
import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';

import { compileForOpa } from '../../plan/compile-shell.ts';
import { policiesOf } from '../../plan/compile.ts';
import { readPolicies } from '../../policy/read.ts';

interface Policy {
  evaluate(input: unknown, entrypoint?: string): readonly { readonly result: unknown }[];
  readonly wasmInstance: { readonly exports: Exports };
  readonly mem: { readonly buffer: ArrayBuffer };
  setData(data: object): void;
}

/** Those that the SDK leaves alone. */
interface Exports {
  opa_malloc(bytes: number): number;
  opa_json_parse(at: number, length: number): number;
  opa_value_dump(value: number): number;
  opa_eval_ctx_new(): number;
  opa_eval_ctx_set_input(context: number, value: number): void;
  opa_eval_ctx_set_data(context: number, value: number): void;
  opa_eval_ctx_set_entrypoint(context: number, entrypoint: number): void;
  opa_eval_ctx_get_result(context: number): number;
  eval(context: number): number;
  opa_json_dump(value: number): number;
  opa_heap_ptr_get(): number;
  opa_eval(reserved: number, entry: number, data: number, input: number, length: number, heap: number, format: number): number;
}

const SDK = createRequire(import.meta.url)('@open-policy-agent/opa-wasm') as { loadPolicySync(wasm: Uint8Array): Policy };
const SPEC =
  '{ rules: [{ from: [{ source: { principals: ["cluster.local/ns/a/sa/b"] } }], to: [{ operation: { methods: [GET], paths: ["/é/*"] } }], when: [{ key: "request.auth.claims[groups]", values: [ops] }] }] }';
const INPUT = {
  attributes: {
    source: { principal: 'spiffe://cluster.local/ns/a/sa/b' },
    request: { http: { method: 'GET', path: '/é/1?x', host: 'h', headers: {} } },
    metadataContext: {
      filterMetadata: { 'envoy.filters.http.jwt_authn': { payload: { iss: 'i', sub: 's', groups: ['dev', 'ops'] } } },
    },
  },
};

function load(spec = SPEC): Policy {
  const text = `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p }\nspec: ${spec}`;
  const set = policiesOf(
    readPolicies(text, 'f').policies,
    { namespace: 'shop', labels: {}, serviceAccount: null },
    { rootNamespace: 'istio-system', trustDomain: 'cluster.local', trustDomainAliases: [] },
  );
  return SDK.loadPolicySync(compileForOpa(set, { whenNoneSelects: 'deny' }));
}

function ask(policy: Policy, input: unknown): unknown {
  return policy.evaluate(input)[0]?.result;
}

function bytes(text: string): ArrayBuffer {
  const encoded = new TextEncoder().encode(text);
  return encoded.buffer.slice(encoded.byteOffset, encoded.byteOffset + encoded.byteLength);
}

describe('the module for OPA', () => {
  const policy = load();

  test('answers as policies of opa-envoy-plugin do', () => {
    expect(ask(policy, INPUT)).toMatchObject({
      allowed: true,
      dynamic_metadata: { code: 'allowed_by_rule', policy: 'shop/p', rule: '0' },
    });
    expect(policy.evaluate({ attributes: {} }, 'envoy/authz/allow')[0]?.result).toMatchObject({
      allowed: false,
      http_status: 403,
      dynamic_metadata: { code: 'denied_no_match', policy: null },
    });
  });

  test('reads escapes', () => {
    const text = JSON.stringify(INPUT)
      .replaceAll('é', String.raw`\u00e9`)
      .replace('"ops"', String.raw`"\u006fp\u0073"`)
      .replace('/1?', String.raw`\/1?`);
    expect(ask(policy, bytes(text))).toMatchObject({ allowed: true });
  });

  test.each([
    ['nothing', undefined],
    ['no JSON', bytes('{"attributes":')],
    ['an empty text', bytes(' ')],
    ['two values', bytes(`${JSON.stringify(INPUT)} 1`)],
    ['a comma too many', bytes('{"a":1,}')],
    ['a list that does not end', bytes('[1')],
    ['a control character in a string', bytes('{"a":"\u0001"}')],
    ['an unknown escape', bytes(String.raw`{"a":"\x"}`)],
    ['a short escape', bytes(String.raw`{"a":"\u00e"}`)],
    ['a number that begins with 0', bytes('{"a":01}')],
    ['a number without digits', bytes('{"a":-}')],
    ['an unknown word', bytes('{"a":nul}')],
    ['a key that is no string', bytes('{a:1}')],
    ['an attribute that stands twice', bytes(JSON.stringify(INPUT).replace('"method":"GET"', '"method":"GET","method":"GET"'))],
    ['an object that stands twice', bytes(JSON.stringify(INPUT).replace('"attributes":', '"attributes":{},"attributes":'))],
    ['100,000 lists in each other', bytes(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)],
    ['a 0 byte', bytes('{}\0')],
  ])('refuses %s', (_, input) => {
    expect(ask(policy, input)).toMatchObject({ allowed: false, http_status: 400, dynamic_metadata: { code: 'bad_input' } });
    expect(ask(policy, INPUT)).toMatchObject({ allowed: true });
  });

  test.each([
    ['a method that is a list', { method: ['GET'] }],
    ['a path that is a number', { path: 7 }],
    ['a path that is longer than its memory', { path: `/é/${'a'.repeat(70_000)}` }],
  ])('denies %s', (_, http) => {
    const { attributes } = INPUT;
    const input = { attributes: { ...attributes, request: { http: { ...attributes.request.http, ...http } } } };
    expect(ask(policy, input)).toMatchObject({ allowed: false, http_status: 500, dynamic_metadata: { code: 'engine_error' } });
    expect(ask(policy, INPUT)).toMatchObject({ allowed: true });
  });

  test('ignores data, and takes inputs that make its memory grow', () => {
    policy.setData({ anything: [1, 2, 3] });
    expect(ask(policy, { ...INPUT, padding: 'x'.repeat(2_000_000) })).toMatchObject({ allowed: true });
    expect(ask(policy, INPUT)).toMatchObject({ allowed: true });
  });

  test('evaluates by a context, and in notation of Rego', () => {
    const { exports } = policy.wasmInstance;
    const text = Buffer.from(JSON.stringify(INPUT));
    const at = exports.opa_malloc(text.length);
    new Uint8Array(policy.mem.buffer).set(text, at);
    const context = exports.opa_eval_ctx_new();
    exports.opa_eval_ctx_set_input(context, exports.opa_json_parse(at, text.length));
    exports.opa_eval_ctx_set_data(context, 0);
    exports.opa_eval_ctx_set_entrypoint(context, 0);
    expect(exports.eval(context)).toBe(0);
    const told = (address: number): string => {
      const all = Buffer.from(policy.mem.buffer, address);
      return all.subarray(0, all.indexOf(0)).toString();
    };
    expect(told(exports.opa_json_dump(exports.opa_eval_ctx_get_result(context)))).toMatch(
      /^\[\{"result":\{"allowed":true,.*\}\}\]$/,
    );
    const input = exports.opa_malloc(text.length);
    new Uint8Array(policy.mem.buffer).set(text, input);
    const rego = exports.opa_eval(0, 0, 0, input, text.length, exports.opa_heap_ptr_get(), 1);
    expect(told(rego)).toMatch(/^\{\{"result":\{"allowed":true,.*\}\}\}$/);
    expect(exports.opa_json_parse(input, 3)).toBe(0);
  });

  test('decides connections that carry no request', () => {
    const tcp = load('{ rules: [{ from: [{ source: { ipBlocks: ["10.0.0.0/8"] } }], to: [{ operation: { ports: ["80"] } }] }] }');
    const input = (address: string, portValue: number) => ({
      attributes: {
        source: { address: { socketAddress: { address } } },
        destination: { address: { socketAddress: { portValue } } },
      },
    });
    expect(ask(tcp, input('10.1.2.3', 80))).toMatchObject({ allowed: true });
    expect(ask(tcp, input('11.1.2.3', 80))).toMatchObject({ allowed: false });
    expect(ask(tcp, input('10.1.2.3', 65_616))).toMatchObject({ allowed: false, dynamic_metadata: { code: 'engine_error' } });
  });

  test.each([
    ['read the address of a client', '{ rules: [{ when: [{ key: remote.ip, values: [10.0.0.1] }] }] }'],
    ['audit', '{ action: AUDIT, rules: [{}] }'],
    ['ask an external authorizer', '{ action: CUSTOM, provider: { name: x }, rules: [{}] }'],
  ])('is not made of policies that %s', (_, spec) => {
    expect(() => load(spec)).toThrow(expect.objectContaining({ code: 'policy_not_expressible' }));
  });
});
