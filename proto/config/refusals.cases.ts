/** Files of kind Proxy that must be refused: each is the smallest valid file with one edit, and the fault that it must give. */

export interface Refusal {
  readonly why: string;
  readonly edit: readonly [string | RegExp, string];
  /** Where the first fault is: line and column, or the text that stands there. */
  readonly at?: string | readonly [number, number];
  readonly code: string;
  readonly message: string;
  readonly fix?: string;
}

export const SMALLEST = `apiVersion: postern.mesh/v1alpha1
kind: Proxy
metadata: { name: app, namespace: app, labels: { app: app } }
spec:
  mode: standalone
  identity:
    trustDomain: cluster.local
    files: { certificate: server.pem, key: server.key, bundles: { cluster.local: ca.pem } }
  inbound:
    - { listen: 127.0.0.1:15006, mtls: STRICT, forwardTo: 127.0.0.1:19080 }      # ALPN h2 and http/1.1
    - { listen: 127.0.0.1:15016, mtls: DISABLE, forwardTo: 127.0.0.1:19080 }     # plaintext in
  outbound:
    - { listen: 127.0.0.1:15001, forwardTo: 127.0.0.1:16006, expect: [spiffe://cluster.local/ns/app/sa/peer] }
  policies: { files: [policies/] }            # no source at all: everything is denied
  telemetry: { accessLog: { format: json, file: access.log }, status: 127.0.0.1:15021, admin: admin.sock }
`;

export const REFUSALS: readonly Refusal[] = [
  // External authorizers.
  ...(
    [
      [
        'no kind',
        '{ name: a }',
        'PN0511',
        'found no kind of authorizer, wanted one of envoyExtAuthzGrpc, envoyExtAuthzHttp and opa',
      ],
      [
        'two kinds',
        '{ name: a, envoyExtAuthzGrpc: { service: localhost, port: 1 }, opa: { bundle: { file: b } } }',
        'PN0513',
        'found envoyExtAuthzGrpc and opa in one authorizer',
      ],
      [
        'a name twice',
        '{ name: a, opa: { bundle: { file: b } } }, { name: a, opa: { bundle: { file: b } } }',
        'PN0513',
        'which authorizers[0] has already',
      ],
      [
        'an authorizer of another machine',
        '{ name: a, envoyExtAuthzHttp: { service: authz.test, port: 80 } }',
        'PN0513',
        'where anybody on the way could answer',
      ],
      [
        'half of a body',
        '{ name: a, envoyExtAuthzGrpc: { service: localhost, port: 1, includeRequestBodyInCheck: { maxRequestBytes: 9, allowPartialMessage: true } } }',
        'PN0513',
        'wanted the body whole',
      ],
      [
        'a body of 2 MiB',
        '{ name: a, envoyExtAuthzGrpc: { service: localhost, port: 1, includeRequestBodyInCheck: { maxRequestBytes: 2MiB } } }',
        'PN0512',
        'wanted a size from 1 to 1048576 bytes',
      ],
      [
        'a status that lets in',
        '{ name: a, envoyExtAuthzGrpc: { service: localhost, port: 1, statusOnError: "200" } }',
        'PN0512',
        'wanted a status from 400 to 599',
      ],
      [
        'every header',
        '{ name: a, envoyExtAuthzHttp: { service: localhost, port: 1, headersToUpstreamOnAllow: ["*"] } }',
        'PN0512',
        'wanted a header name',
      ],
      [
        'an unsigned bundle server',
        '{ name: a, opa: { bundle: { url: "https://bundles.test/b" } } }',
        'PN0511',
        'found a bundle server and no key',
      ],
      [
        'a bundle server in the clear',
        '{ name: a, opa: { bundle: { url: "http://bundles.test/b" }, unsigned: true } }',
        'PN0512',
        'wanted https, or http to this machine',
      ],
      ['a bundle from nowhere', '{ name: a, opa: { bundle: {} } }', 'PN0513', 'found neither file nor url'],
    ] as const
  ).map(([why, authorizers, code, message]) => ({
    why: `an authorizer: ${why}`,
    edit: ['  policies:', `  authorizers: [${authorizers}]\n  policies:`] as const,
    code,
    message,
  })),
  // What belongs to a later version is refused by naming what is accepted.
  {
    why: 'mtls: SIMPLE',
    edit: ['STRICT', 'SIMPLE'],
    at: 'SIMPLE',
    code: 'PN0512',
    message: 'wanted STRICT, PERMISSIVE or DISABLE',
  },
  {
    why: 'https:// for the workload',
    edit: ['forwardTo: 127', 'forwardTo: https://127'],
    at: 'https://',
    code: 'PN0512',
    message: 'wanted host:port, http://host:port or h2c://host:port',
  },
  {
    why: 'protocol: h2',
    edit: ['DISABLE,', 'DISABLE, protocol: h2,'],
    at: 'h2,',
    code: 'PN0512',
    message: 'found "h2", wanted auto, http, http1, http2, grpc or tcp',
  },
  {
    why: 'mode: istio',
    edit: ['mode: standalone', 'mode: istio'],
    at: 'istio',
    code: 'PN0512',
    message: 'found "istio", wanted standalone',
  },
  {
    why: 'server',
    edit: ['  mode', '  server: {}\n  mode'],
    at: 'server: {}',
    code: 'PN0510',
    message: 'unknown key "server"',
  },

  {
    why: 'a mistyped key',
    edit: ['listen: 127.0.0.1:15016', 'lisen: 127.0.0.1:15016'],
    at: 'lisen',
    code: 'PN0510',
    message: 'unknown key "lisen"',
    fix: 'did you mean listen?',
  },
  {
    why: 'swapped letters',
    edit: ['outbound:', 'outbuond:'],
    at: 'outbuond',
    code: 'PN0510',
    message: '"outbuond"',
    fix: 'did you mean outbound?',
  },
  {
    why: 'a key of another place',
    edit: ['kind: Proxy', 'kind: Proxy\nlabels: {}'],
    at: 'labels: {}',
    code: 'PN0510',
    message: 'unknown key "labels"',
  },
  {
    why: 'another kind',
    edit: ['kind: Proxy', 'kind: Prox'],
    at: 'Prox\n',
    code: 'PN0512',
    message: 'found "Prox", wanted Proxy',
    fix: 'did you mean Proxy?',
  },
  {
    why: 'another version',
    edit: ['v1alpha1', 'v2'],
    at: 'postern.mesh/v2',
    code: 'PN0512',
    message: 'wanted postern.mesh/v1alpha1',
  },
  { why: 'no kind', edit: ['kind: Proxy\n', ''], at: 'apiVersion', code: 'PN0511', message: 'found no "kind", wanted Proxy' },
  { why: 'no spec', edit: [/spec:[^]*/u, ''], at: 'apiVersion', code: 'PN0511', message: 'found no "spec"' },
  {
    why: 'a label that is a number',
    edit: ['app: app }', 'app: 1 }'],
    at: '1 }',
    code: 'PN0512',
    message: 'found the number 1, wanted a text',
  },
  {
    why: 'a list for a map',
    edit: [/policies: \{.*?\}/u, 'policies: []'],
    at: '[]',
    code: 'PN0512',
    message: 'found an empty list',
  },
  {
    why: 'nothing for a map',
    edit: [/policies: \{.*?\}/u, 'policies:'],
    at: [14, 3],
    code: 'PN0512',
    message: 'found nothing',
  },
  {
    why: 'a duration without unit',
    edit: ['  mode', '  timeouts: { head: 10 }\n  mode'],
    at: '10 }',
    code: 'PN0512',
    message: 'found the number 10, wanted a duration',
  },
  {
    why: 'a duration that is none',
    edit: ['  mode', '  timeouts: { head: 10sec }\n  mode'],
    at: '10sec',
    code: 'PN0512',
    message: 'found "10sec"',
  },
  {
    why: 'a duration of nothing',
    edit: ['  mode', '  timeouts: { head: 0s }\n  mode'],
    at: '0s',
    code: 'PN0512',
    message: 'from 1ms',
  },
  {
    why: 'a duration of days',
    edit: ['  mode', '  timeouts: { head: 25h }\n  mode'],
    at: '25h',
    code: 'PN0512',
    message: 'to 24h',
  },
  {
    why: 'a size of kB',
    edit: ['  mode', '  limits: { headBytes: 16kB }\n  mode'],
    at: '16kB',
    code: 'PN0512',
    message: 'as in 16384 or 16KiB',
  },
  {
    why: 'a head too large',
    edit: ['  mode', '  limits: { headBytes: 1MiB }\n  mode'],
    at: '1MiB',
    code: 'PN0512',
    message: 'to 65536 bytes',
  },
  {
    why: 'no fields',
    edit: ['  mode', '  limits: { fields: 0 }\n  mode'],
    at: '0 }',
    code: 'PN0512',
    message: 'from 1 to 512',
  },
  {
    why: 'half a field',
    edit: ['  mode', '  limits: { fields: 1.5 }\n  mode'],
    at: '1.5',
    code: 'PN0512',
    message: 'a whole number',
  },
  { why: 'a port beyond 65535', edit: ['15006', '65536'], at: '127.0.0.1:65536', code: 'PN0512', message: 'host:port' },
  { why: 'a listener without host', edit: ['127.0.0.1:15006', ':15006'], at: ':15006', code: 'PN0512', message: 'host:port' },
  { why: 'IPv6 without brackets', edit: ['127.0.0.1:15006', '"::1:15006"'], at: '"::1', code: 'PN0512', message: '[v6]:port' },
  {
    why: 'an address that is none',
    edit: ['127.0.0.1:15006', '127.0.0.300:15006'],
    at: '127.0.0.300',
    code: 'PN0512',
    message: 'host:port',
  },
  {
    why: 'forwardTo port 0',
    edit: ['127.0.0.1:19080', '127.0.0.1:0'],
    at: '127.0.0.1:0',
    code: 'PN0512',
    message: 'host:port, http://host:port or h2c://host:port',
  },
  {
    why: 'a trust domain in capitals',
    edit: ['cluster.local\n', 'Cluster.Local\n'],
    at: 'Cluster.Local',
    code: 'PN0512',
    message: 'a trust domain',
  },
  {
    why: 'a forwarder that is neither',
    edit: ['  mode', '  trustedForwarders: [10.0.0.0/33]\n  mode'],
    at: '10.0.0.0/33',
    code: 'PN0512',
    message: 'a SPIFFE ID, an address or a CIDR',
  },
  {
    why: 'sni that is an address',
    edit: ['sa/peer] }', 'sa/peer], sni: 10.0.0.1 }'],
    at: '10.0.0.1 }',
    code: 'PN0512',
    message: 'a DNS name',
  },

  // An mTLS client side without an expectation.
  {
    why: 'an outbound without expect',
    edit: [/, expect: \[.*?\]/u, ''],
    at: '{ listen: 127.0.0.1:15001',
    code: 'PN0511',
    message: 'found no "expect"',
  },
  {
    why: 'an outbound that expects nobody',
    edit: [/expect: \[.*?\]/u, 'expect: []'],
    at: '[] }',
    code: 'PN0512',
    message: 'at least one SPIFFE ID',
  },
  {
    why: 'an expected ID without a path',
    edit: ['/ns/app/sa/peer', ''],
    at: 'spiffe:',
    code: 'PN0512',
    message: 'a SPIFFE ID with a path',
  },
  { why: 'an expected ID that is a pattern', edit: ['sa/peer', 'sa/*'], at: 'spiffe:', code: 'PN0512', message: 'a SPIFFE ID' },
  {
    why: 'an expected ID without bundle',
    edit: ['spiffe://cluster.local', 'spiffe://other.test'],
    at: 'spiffe:',
    code: 'PN0513',
    message: 'bundles has no bundle',
  },
  {
    why: 'no bundle of the own trust domain',
    edit: ['{ cluster.local: ca.pem }', '{ a.test: ca.pem }'],
    at: '{ a.test',
    code: 'PN0513',
    message: 'no bundle of the own trust domain',
  },
  {
    why: 'a bundle of no trust domain',
    edit: ['{ cluster.local: ca.pem }', '{ cluster.local: a, A_B!: b }'],
    at: 'b }',
    code: 'PN0512',
    message: 'found the key "A_B!"',
  },

  // Conflicting path policies.
  {
    why: 'two path policies for one service',
    edit: ['DISABLE,', 'DISABLE, pathPolicy: strict,'],
    at: 'strict,',
    code: 'PN0513',
    message: 'found the path policy strict for 127.0.0.1:19080, wanted base',
  },
  {
    why: 'an unknown path policy',
    edit: ['DISABLE,', 'DISABLE, pathPolicy: BASE,'],
    at: 'BASE,',
    code: 'PN0512',
    message: 'none, base',
    fix: 'did you mean base?',
  },

  {
    why: 'a listener twice',
    edit: ['15016', '15006'],
    at: '127.0.0.1:15006, mtls: DISABLE',
    code: 'PN0513',
    message: 'which inbound[0] has already',
  },
  {
    why: 'status on a listener',
    edit: ['15021', '15001'],
    at: '127.0.0.1:15001, admin',
    code: 'PN0513',
    message: 'which outbound[0] has already',
  },
  {
    why: 'a loop',
    edit: ['forwardTo: 127.0.0.1:19080', 'forwardTo: 127.0.0.1:15016'],
    at: '127.0.0.1:15016 }',
    code: 'PN0513',
    message: 'an inbound listener of this file',
  },
  {
    why: 'no listener',
    edit: [/ {2}inbound:[^]*? {2}policies/u, '  policies'],
    at: 'mode: standalone',
    code: 'PN0511',
    message: 'found no listener',
  },
  {
    why: 'an outbound for other machines',
    edit: ['listen: 127.0.0.1:15001', 'listen: 0.0.0.0:15001'],
    at: '0.0.0.0:15001',
    code: 'PN0513',
    message: 'lends this identity to other machines',
  },
  {
    why: 'allowUids on a socket',
    edit: [/listen: 127.0.0.1:15001/u, 'allowUids: [1], listen: "unix:a"'],
    at: '[1]',
    code: 'PN0513',
    message: 'allowUids on a Unix socket',
  },
  {
    why: 'allowAll beside policies',
    edit: ['{ files: [policies/] }', '{ files: [policies/], allowAll: true }'],
    at: 'true',
    code: 'PN0513',
    message: 'allowAll beside files',
  },
  {
    why: 'a bundle beside files',
    edit: ['{ files: [policies/] }', '{ files: [policies/], bundle: { file: b, keys: [k] } }'],
    at: '{ file: b',
    code: 'PN0513',
    message: 'a bundle beside files',
  },
  {
    why: 'allowAll beside a bundle',
    edit: ['{ files: [policies/] }', '{ allowAll: true, bundle: { file: b, keys: [k] } }'],
    at: 'true',
    code: 'PN0513',
    message: 'allowAll beside a bundle',
  },
  {
    why: 'allowEmpty beside a bundle',
    edit: ['{ files: [policies/] }', '{ allowEmpty: true, bundle: { file: b, keys: [k] } }'],
    at: 'true',
    code: 'PN0513',
    message: 'allowEmpty beside a bundle',
  },
  {
    why: 'a bundle without a key',
    edit: ['{ files: [policies/] }', '{ bundle: { file: b, keys: [] } }'],
    at: '[] }',
    code: 'PN0512',
    message: 'at least one file',
  },
  {
    why: 'lastKnownGood without a source',
    edit: ['{ files: [policies/] }', '{ lastKnownGood: kept }'],
    at: 'kept',
    code: 'PN0513',
    message: 'lastKnownGood without files',
  },
  {
    why: 'a socket path that no kernel takes',
    edit: ['admin.sock', `${'a'.repeat(100)}.sock`],
    at: 'aaaaaaaa',
    code: 'PN0512',
    message: 'wanted at most 107',
  },

  // YAML that two readers would read differently.
  { why: 'an alias', edit: ['name: app', 'name: &a app, namespace2: *a'], code: 'PN0104', message: 'alias' },
  { why: 'a tag', edit: ['name: app', 'name: !!binary aGk='], code: 'PN0104', message: 'tag' },
  { why: 'a key twice', edit: ['kind: Proxy', 'kind: Proxy\nkind: Proxy'], at: [3, 1], code: 'PN0105', message: 'unique' },
  { why: '__proto__', edit: ['name: app', '__proto__: app'], at: '__proto__', code: 'PN0106', message: '__proto__' },
  {
    why: 'nesting over 64',
    edit: ['name: app', `name: ${'['.repeat(70)}${']'.repeat(70)}`],
    code: 'PN0103',
    message: 'deeper than 64',
  },
  {
    why: 'nesting that would exhaust the stack',
    edit: ['name: app', `name: ${'['.repeat(20_000)}`],
    code: 'PN0103',
    message: 'deeper than 64',
  },
  { why: 'more than 1 MiB', edit: ['kind', `# ${'x'.repeat(1_048_576)}\nkind`], at: [0, 0], code: 'PN0102', message: 'bytes' },
  { why: 'an open bracket', edit: ['spec:', 'spec: ['], code: 'PN0101', message: 'YAML' },
  { why: 'nothing', edit: [/[^]*/u, '# nothing\n'], at: [1, 1], code: 'PN0502', message: 'found nothing' },
  { why: 'two documents', edit: [/$/u, '---\nkind: Proxy\n'], at: [17, 1], code: 'PN0502', message: 'found a second document' },
  { why: 'a text', edit: [/[^]*/u, 'proxy'], at: [1, 1], code: 'PN0512', message: 'found "proxy", wanted a map' },
  {
    why: 'revocation lists of a domain without a bundle',
    edit: ['bundles: { cluster.local: ca.pem }', 'bundles: { cluster.local: ca.pem }, revocationLists: { other.test: x.pem }'],
    at: 'x.pem',
    code: 'PN0513',
    message: 'found lists of "other.test", for which there is no bundle',
  },
];
