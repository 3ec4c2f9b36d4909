/** Documents that must be refused, each with the code and the line of its first fault, and what a good one must be read as. */

export interface RefusedDocument {
  readonly why: string;
  readonly text: string;
  readonly code: string;
  readonly line: number;
}

export const GOOD_DOCUMENT = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: orders
  namespace: shop
  labels: { team: a }
  annotations: { postern.mesh/rule-names: "read, write" }
spec:
  selector: { matchLabels: { app: orders, "version": v1 } }
  action: DENY
  rules:
    - from:
        - source: { principals: [a], notPrincipals: [b], requestPrincipals: [c], notRequestPrincipals: [d], namespaces: [e], notNamespaces: [f] }
        - source: { serviceAccounts: [g], notServiceAccounts: [h], trustDomains: [i], notTrustDomains: [j], ipBlocks: ["1.1.1.1"], notIpBlocks: ["2.2.2.2"], remoteIpBlocks: ["3.3.3.3"], notRemoteIpBlocks: ["4.4.4.4"] }
      to:
        - operation: { hosts: [k], notHosts: [l], ports: ["1"], notPorts: ["2"], methods: [m], notMethods: [n], paths: [/o], notPaths: [/p] }
      when:
        - { key: "request.headers[X]", values: [q], notValues: [r] }
    - {}
`;

export function refused(why: string, code: string, line: number, spec: string): RefusedDocument {
  return { why, code, line, text: `${HEAD}spec:\n  ${spec}\n` };
}

const HEAD = 'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: a }\n';
const when = (key: string, values = '["a"]'): string => `rules: [{ when: [{ key: "${key}", values: ${values} }] }]`;
const from = (source: string): string => `rules: [{ from: [{ source: ${source} }] }]`;
const to = (operation: string): string => `rules: [{ to: [{ operation: ${operation} }] }]`;

export const REFUSED: readonly RefusedDocument[] = [
  { why: 'no YAML', code: 'PN0101', line: 1, text: '"' },
  { why: 'a key twice', code: 'PN0105', line: 2, text: 'kind: a\nkind: b' },
  { why: 'an alias', code: 'PN0104', line: 1, text: 'kind: &a x\nmetadata: *a' },
  { why: 'a tag', code: 'PN0104', line: 1, text: 'kind: !!js/function x' },
  { why: 'a key of the prototype', code: 'PN0106', line: 1, text: '__proto__: {}' },
  { why: 'deep nesting', code: 'PN0103', line: 1, text: `a: ${'['.repeat(100)}` },
  { why: 'too many bytes', code: 'PN0102', line: 0, text: '#'.repeat(1_048_577) },
  { why: 'a list', code: 'PN0202', line: 1, text: '- a' },
  { why: 'no kind', code: 'PN0204', line: 1, text: 'apiVersion: security.istio.io/v1' },
  { why: 'another kind', code: 'PN0112', line: 2, text: 'apiVersion: v1\nkind: Service' },
  { why: 'no kind of its group', code: 'PN0113', line: 2, text: 'apiVersion: security.istio.io/v1\nkind: PeerAuthorization' },
  {
    why: 'an unknown version',
    code: 'PN0111',
    line: 1,
    text: 'apiVersion: security.istio.io/v2\nkind: AuthorizationPolicy\nmetadata: { name: a }',
  },
  { why: 'no name', code: 'PN0204', line: 3, text: 'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {}' },
  {
    why: 'a malformed name',
    code: 'PN0310',
    line: 3,
    text: 'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: A_b }',
  },
  { why: 'two of one name', code: 'PN0114', line: 5, text: `${HEAD}---\n${HEAD}` },
  {
    why: 'a dry run that is neither true nor false',
    code: 'PN0208',
    line: 3,
    text: 'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: a, annotations: { istio.io/dry-run: "yes" } }',
  },
  {
    why: 'names that do not fit the rules',
    code: 'PN0309',
    line: 3,
    text: 'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: a, annotations: { postern.mesh/rule-names: "a,b" } }\nspec: { rules: [{}] }',
  },
  { why: 'an unknown field of the document', code: 'PN0201', line: 4, text: `${HEAD}spce: {}` },
  refused('an unknown field of spec', 'PN0201', 5, 'rule: []'),
  refused('an unknown field of a rule', 'PN0201', 5, 'rules: [{ form: [] }]'),
  refused('an unknown field of a source', 'PN0201', 5, from('{ principal: [a] }')),
  refused('an unknown field of an operation', 'PN0201', 5, to('{ path: [a] }')),
  refused('an unknown field of a condition', 'PN0201', 5, 'rules: [{ when: [{ key: source.ip, value: ["1.1.1.1"] }] }]'),
  refused(
    'an unknown field beside a source',
    'PN0201',
    5,
    'rules: [{ from: [{ source: { principals: [a] }, principals: [b] }] }]',
  ),
  refused('an empty source', 'PN0203', 5, from('{}')),
  refused('a source of null', 'PN0203', 5, from('{ principals: null }')),
  refused('an empty list', 'PN0203', 5, from('{ principals: [] }')),
  refused('an empty from', 'PN0203', 5, 'rules: [{ from: [] }]'),
  refused('an empty value', 'PN0203', 5, from('{ principals: [""] }')),
  refused('an empty operation', 'PN0203', 5, to('{}')),
  refused('a number for a string', 'PN0202', 5, to('{ ports: [80] }')),
  refused('a string for a list', 'PN0202', 5, to('{ ports: "80" }')),
  refused('a list for rules of strings', 'PN0202', 5, 'rules: [a]'),
  refused('CUSTOM without rules', 'PN0210', 5, '{ action: CUSTOM, provider: { name: a } }'),
  refused('CUSTOM without a provider', 'PN0204', 5, '{ action: CUSTOM, rules: [{}] }'),
  refused('an unknown action', 'PN0207', 5, 'action: deny'),
  refused('DENY without rules', 'PN0210', 5, 'action: DENY'),
  refused('a provider without CUSTOM', 'PN0205', 5, 'provider: { name: x }'),
  refused(
    'selector and targetRefs',
    'PN0205',
    5,
    '{ selector: { matchLabels: { a: b } }, targetRefs: [{ kind: Gateway, name: g }] }',
  ),
  refused('serviceAccounts beside principals', 'PN0205', 5, from('{ serviceAccounts: [a], principals: [b] }')),
  refused('too many service accounts', 'PN0209', 5, from(`{ serviceAccounts: [${'a,'.repeat(17)}] }`)),
  refused('a wildcard in a label', 'PN0310', 5, 'selector: { matchLabels: { app: "a*" } }'),
  refused('an unknown key', 'PN0301', 5, when('request.header[a]')),
  refused('a key of claims without a name', 'PN0301', 5, when('request.auth.claims[]')),
  refused('a condition without a key', 'PN0204', 5, 'rules: [{ when: [{ values: [a] }] }]'),
  refused('a condition without values', 'PN0204', 5, 'rules: [{ when: [{ key: source.ip }] }]'),
  refused('no IP address', 'PN0302', 5, from('{ ipBlocks: ["10.0.0.0/33"] }')),
  refused('no IP address to exclude', 'PN0302', 5, from('{ notIpBlocks: ["x"] }')),
  refused('no IP address in a condition', 'PN0302', 5, when('source.ip', '["x"]')),
  refused('no port', 'PN0303', 5, to('{ ports: ["65536"] }')),
  refused('no port in a condition', 'PN0303', 5, when('destination.port', '["http"]')),
  refused('braces in a path', 'PN0304', 5, to('{ paths: ["/a/{id}"] }')),
  refused('an operator after {**}', 'PN0304', 5, to('{ paths: ["/{**}/{*}"] }')),
  refused('a template with a wildcard', 'PN0304', 5, to('{ paths: ["/{*}/a*"] }')),
  refused('a template without a slash', 'PN0304', 5, to('{ paths: ["a/{*}"] }')),
  refused('a service account of three parts', 'PN0305', 5, from('{ serviceAccounts: [a/b/c] }')),
  refused('a service account with a wildcard', 'PN0305', 5, from('{ serviceAccounts: ["a*"] }')),
  refused('a trust domain with inner wildcards', 'PN0306', 5, from('{ trustDomains: ["a*b"] }')),
  refused('a principal with its scheme', 'PN0307', 5, from('{ principals: ["spiffe://a/b"] }')),
  refused('a pseudo header that nobody sees', 'PN0308', 5, when('request.headers[:path]')),
  refused('a header of blanks', 'PN0308', 5, when('request.headers[a b]')),
];
