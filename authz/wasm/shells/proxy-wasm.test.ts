/** The proxy-wasm module under a host that fails, lies or is short of memory: whatever happens, the request goes no further. */
import { describe, expect, test } from 'vitest';

import { compileForProxyWasm } from '../../plan/compile-shell.ts';
import { policiesOf } from '../../plan/compile.ts';
import { readPolicies } from '../../policy/read.ts';

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  proxy_on_memory_allocate(size: number): number;
  proxy_on_request_headers(context: number, count: number, isEnd: number): number;
}

declare const WebAssembly: {
  readonly Module: {
    new (bytes: Uint8Array): object;
    imports(module: object): readonly { readonly module: string; readonly name: string }[];
  };
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

const SPEC =
  '{ rules: [{ from: [{ source: { principals: ["cluster.local/ns/a/sa/b"], remoteIpBlocks: ["10.0.0.0/8", "2001:db8::/32"] } }], to: [{ operation: { methods: [GET], ports: ["80"] } }], when: [{ key: "request.auth.claims[groups]", values: [ops] }] }] }';

/** What the host has; a number is the status that it answers with instead. */
interface Host {
  readonly properties: Readonly<Record<string, Uint8Array | number>>;
  readonly headers: Uint8Array | number;
}

const METADATA = field(
  1,
  field(1, text('envoy.filters.http.jwt_authn')),
  field(
    2,
    field(
      1,
      field(1, text('payload')),
      field(2, field(5, field(1, field(1, text('groups')), field(2, field(6, field(1, field(3, text('ops')))))))),
    ),
  ),
);
const GOOD: Host = {
  properties: {
    'connection uri_san_peer_certificate': text('spiffe://cluster.local/ns/a/sa/b'),
    'source address': text('10.1.2.3:4567'),
    'destination port': Uint8Array.of(80, 0, 0, 0, 0, 0, 0, 0),
    metadata: METADATA,
  },
  headers: pairs([
    [':method', 'GET'],
    [':path', '/'],
  ]),
};

function load(spec = SPEC): object {
  const document = `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p }\nspec: ${spec}`;
  const set = policiesOf(
    readPolicies(document, 'f').policies,
    { namespace: 'shop', labels: {}, serviceAccount: null },
    { rootNamespace: 'istio-system', trustDomain: 'cluster.local', trustDomainAliases: [] },
  );
  return new WebAssembly.Module(compileForProxyWasm(set, { whenNoneSelects: 'deny' }));
}

/** What the module does with a request: `go on`, or status and details of its answer. */
function ask(module: object, host: Host, answerStatus = 0): string {
  let told = 'nothing';
  const give = (value: Uint8Array | number | undefined, at: number, size: number): number => {
    if (value === undefined) return 1;
    if (typeof value === 'number') return value;
    const address = exports.proxy_on_memory_allocate(value.length);
    new Uint8Array(exports.memory.buffer).set(value, address);
    const view = new DataView(exports.memory.buffer);
    view.setUint32(at, address, true);
    view.setUint32(size, value.length, true);
    return 0;
  };
  const read = (at: number, length: number): string => Buffer.from(exports.memory.buffer, at, length).toString();
  const env = {
    proxy_get_header_map_pairs: (_map: number, at: number, size: number) => give(host.headers, at, size),
    proxy_get_property: (name: number, length: number, at: number, size: number) =>
      give(host.properties[read(name, length).replaceAll('\0', ' ')], at, size),
    proxy_send_local_response: (status: number, details: number, length: number) => {
      told = `${status} ${read(details, length)}`;
      return answerStatus;
    },
  };
  // The exports are those that the specification names.
  const exports = new WebAssembly.Instance(module, { env }).exports as Exports;
  const action = exports.proxy_on_request_headers(2, 2, 1);
  return action === 0 ? 'go on' : told;
}

describe('the proxy-wasm module', () => {
  const module = load();
  const with_ = (properties: Host['properties'], headers: Host['headers'] = GOOD.headers): Host => ({
    properties: { ...GOOD.properties, ...properties },
    headers,
  });

  test('imports what the specification has, and nothing else', () => {
    expect(WebAssembly.Module.imports(module).map(({ module: from, name }) => `${from}.${name}`)).toEqual([
      'env.proxy_get_header_map_pairs',
      'env.proxy_get_property',
      'env.proxy_send_local_response',
    ]);
  });

  test.each([
    { why: 'everything fits', host: GOOD },
    { why: 'the client has an IPv6 address', host: with_({ 'source address': text('[2001:db8::7]:4567') }) },
    { why: 'an IPv4 address comes in the form of IPv6', host: with_({ 'source address': text('[::ffff:10.1.2.3]:4567') }) },
    { why: 'the address has no port', host: with_({ 'source address': text('10.1.2.3') }) },
  ])('lets a request go on when $why', ({ host }) => {
    expect(ask(module, host)).toBe('go on');
  });

  test.each([
    {
      why: 'there is no certificate',
      host: with_({ 'connection uri_san_peer_certificate': 1 }),
      want: '403 postern:denied_no_match',
    },
    {
      why: 'the client is elsewhere',
      host: with_({ 'source address': text('11.1.2.3:1') }),
      want: '403 postern:denied_no_match',
    },
    { why: 'there is no token', host: with_({ metadata: 1 }), want: '403 postern:denied_no_match' },
    {
      why: 'the host fails to tell the identity',
      host: with_({ 'connection uri_san_peer_certificate': 10 }),
      want: '500 postern:engine_error',
    },
    { why: 'the host fails to tell the headers', host: with_({}, 10), want: '500 postern:engine_error' },
    {
      why: 'the port is no number of eight bytes',
      host: with_({ 'destination port': text('80') }),
      want: '500 postern:engine_error',
    },
    {
      why: 'there are fewer headers than are said',
      host: with_({}, Uint8Array.of(200, 0, 0, 0, 1)),
      want: '500 postern:engine_error',
    },
    { why: 'a header is longer than all of them', host: with_({}, lengthened(GOOD.headers)), want: '500 postern:engine_error' },
    { why: 'the headers are nothing', host: with_({}, new Uint8Array(0)), want: '500 postern:engine_error' },
    { why: 'the metadata is cut short', host: with_({ metadata: METADATA.subarray(0, -3) }), want: '500 postern:engine_error' },
    {
      why: 'the metadata is of a form that is not known',
      host: with_({ metadata: Uint8Array.of(0x0f, 1, 2) }),
      want: '500 postern:engine_error',
    },
    {
      why: 'the identity is too long',
      host: with_({ 'connection uri_san_peer_certificate': text(`spiffe://a/${'b'.repeat(3000)}`) }),
      want: '500 postern:engine_error',
    },
  ])('denies when $why', ({ host, want }) => {
    expect(ask(module, host)).toBe(want);
  });

  test('stops a request whose denial the host does not send', () => {
    expect(ask(module, with_({ metadata: 1 }), 2)).toBe('403 postern:denied_no_match');
  });

  test('names the rule that denies', () => {
    const denying = load('{ action: DENY, rules: [{ to: [{ operation: { methods: [GET] } }] }] }');
    expect(ask(denying, GOOD)).toBe('403 postern:denied_by_rule:shop/p#0');
  });

  test('is not made of policies that read the address of the socket', () => {
    expect(() => load('{ rules: [{ from: [{ source: { ipBlocks: ["10.0.0.0/8"] } }] }] }')).toThrow(
      expect.objectContaining({ code: 'policy_not_expressible' }),
    );
  });
});

function text(value: string): Uint8Array {
  return Buffer.from(value, 'utf8');
}

/** A field of bytes of a protocol buffer; contents shorter than 128 bytes. */
function field(number: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([(number << 3) | 2, content.length]), content]);
}

function pairs(headers: readonly (readonly [string, string])[]): Uint8Array {
  const sizes = Buffer.alloc(4 + 8 * headers.length);
  sizes.writeUInt32LE(headers.length);
  for (const [index, [name, value]] of headers.entries()) {
    sizes.writeUInt32LE(name.length, 4 + 8 * index);
    sizes.writeUInt32LE(value.length, 8 + 8 * index);
  }
  return Buffer.concat([sizes, ...headers.map(([name, value]) => Buffer.from(`${name}\0${value}\0`))]);
}

function lengthened(headers: Uint8Array | number): Uint8Array {
  const copy = Buffer.from(typeof headers === 'number' ? [] : headers);
  copy.writeUInt32LE(0xffff_ff00, 8);
  return copy;
}
