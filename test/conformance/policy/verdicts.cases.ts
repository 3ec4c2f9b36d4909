/**
 * Verdicts worked out by hand from the documentation of Istio and the behaviour of Envoy: one group for each field, key and form of
 * value. `spec` is the policy's spec as YAML in one line; each request names what differs from `BASE`.
 */
import type { AuthzInput, Token } from '#authz/engine/input.ts';

export interface VerdictCase {
  readonly about: string;
  /** Specs of policies in namespace shop, named p0, p1, …; `~` in front puts one into the root namespace. */
  readonly specs: readonly string[];
  readonly allows: readonly RequestPatch[];
  readonly denies: readonly RequestPatch[];
}

export interface RequestPatch {
  readonly principal?: string | null;
  readonly sourceIp?: string;
  readonly remoteIp?: string;
  readonly destinationIp?: string;
  readonly port?: number;
  readonly sni?: string;
  readonly method?: string;
  readonly host?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, readonly string[]>>;
  readonly tokens?: readonly Partial<Token>[];
  /** No request at all. */
  readonly tcp?: true;
}

export function verdictInput(patch: RequestPatch): AuthzInput {
  const sourceIp = patch.sourceIp ?? '10.0.0.1';
  const principal = patch.principal === undefined ? 'spiffe://cluster.local/ns/shop/sa/web' : patch.principal;
  const connection = {
    principal,
    sourceIp,
    remoteIp: patch.remoteIp ?? sourceIp,
    destinationIp: patch.destinationIp ?? '10.0.0.2',
    destinationPort: patch.port ?? 8080,
    sni: patch.sni ?? null,
    tls: principal !== null,
  };
  if (patch.tcp === true) return { connection: { ...connection, protocol: 'tcp' }, request: null };
  const request = {
    method: patch.method ?? 'GET',
    authority: patch.host ?? 'orders.shop',
    path: patch.path ?? '/',
    fields: { values: (name: string) => patch.headers?.[name] ?? [] },
    tokens: (patch.tokens ?? []).map((token) => ({
      issuer: 'iss',
      subject: 'sub',
      audiences: [],
      presenter: null,
      claims: {},
      ...token,
    })),
  };
  return { connection: { ...connection, protocol: 'http' }, request };
}

const ID = 'spiffe://cluster.local/ns/';

export const VERDICTS: readonly VerdictCase[] = [
  { about: 'ALLOW without rules', specs: ['{}'], allows: [], denies: [{}, { tcp: true }] },
  { about: 'ALLOW with an empty rule', specs: ['{rules: [{}]}'], allows: [{}, { principal: null }, { tcp: true }], denies: [] },
  {
    about: 'DENY alone',
    specs: ['{action: DENY, rules: [{to: [{operation: {methods: [POST]}}]}]}'],
    allows: [{}, { method: 'PUT' }],
    denies: [{ method: 'POST' }, { tcp: true }],
  },
  {
    about: 'DENY over ALLOW',
    specs: ['{rules: [{}]}', '{action: DENY, rules: [{from: [{source: {principals: ["cluster.local/ns/shop/sa/bad"]}}]}]}'],
    allows: [{}],
    denies: [{ principal: `${ID}shop/sa/bad` }, { principal: `${ID}shop/sa/bad`, tcp: true }],
  },
  {
    about: 'the root namespace',
    specs: ['~{action: DENY, rules: [{to: [{operation: {paths: ["/admin*"]}}]}]}', '{rules: [{}]}'],
    allows: [{}],
    denies: [{ path: '/admin' }, { path: '/admin/x' }],
  },
  {
    about: 'principals',
    specs: ['{rules: [{from: [{source: {principals: ["cluster.local/ns/shop/sa/web", "pre*", "*/sa/suf"]}}]}]}'],
    allows: [{}, { principal: 'spiffe://prefix/x' }, { principal: 'spiffe://pre' }, { principal: 'spiffe://o.test/a/sa/suf' }],
    denies: [
      { principal: null },
      { principal: `${ID}shop/sa/web2` },
      { principal: `${ID}shop/sa/we` },
      { principal: 'spiffe://o.test/sa/suf/x' },
      { principal: 'cluster.local/ns/shop/sa/web' },
    ],
  },
  {
    about: 'principals: any',
    specs: ['{rules: [{from: [{source: {principals: ["*"]}}]}]}'],
    allows: [{}, { principal: 'spiffe://x/y' }],
    denies: [{ principal: null }],
  },
  {
    about: 'notPrincipals',
    specs: ['{rules: [{from: [{source: {notPrincipals: ["cluster.local/ns/shop/sa/web"]}}]}]}'],
    allows: [{ principal: null }, { principal: 'spiffe://x/y' }],
    denies: [{}],
  },
  {
    about: 'trust-domain aliases of principals',
    specs: ['{rules: [{from: [{source: {principals: ["alias.test/ns/a/sa/b", "*/ns/c/sa/d"]}}]}]}'],
    allows: [
      { principal: `${ID}a/sa/b` },
      { principal: 'spiffe://alias.test/ns/a/sa/b' },
      { principal: 'spiffe://any.test/ns/c/sa/d' },
    ],
    denies: [{ principal: 'spiffe://any.test/ns/a/sa/b' }, {}],
  },
  {
    about: 'namespaces',
    specs: ['{rules: [{from: [{source: {namespaces: ["shop", "dev-*", "*-prod", "a*b"]}}]}]}'],
    allows: [
      {},
      { principal: `${ID}dev-1/sa/x` },
      { principal: `${ID}eu-prod/sa/x` },
      { principal: 'spiffe://alias.test/ns/shop/sa/x' },
      { principal: `${ID}axb/sa/x` },
      { principal: `${ID}ab/sa/x` },
    ],
    denies: [
      { principal: null },
      { principal: `${ID}shopx/sa/x` },
      { principal: 'spiffe://foreign.test/ns/shop/sa/x' },
      { principal: 'spiffe://cluster.local/x/ns/shop/sa/y' },
      { principal: `${ID}shop/user/y` },
      { principal: 'spiffe://cluster.local/kind/shop/sa/y' },
      { principal: `${ID}axc/sa/x` },
      { principal: `${ID}shop/sa/x/y` },
    ],
  },
  {
    about: 'namespaces in DENY are read widely',
    specs: ['{action: DENY, rules: [{from: [{source: {namespaces: ["shop"]}}]}]}'],
    allows: [{ principal: null }, { principal: `${ID}dev/sa/x` }],
    denies: [
      {},
      { principal: 'spiffe://foreign.test/ns/shop/sa/x' },
      { principal: 'spiffe://cluster.local/x/ns/shop/y' },
      { tcp: true },
    ],
  },
  {
    about: 'notNamespaces',
    specs: ['{rules: [{from: [{source: {notNamespaces: ["shop"]}}]}]}'],
    allows: [{ principal: null }, { principal: `${ID}dev/sa/x` }],
    denies: [{}, { principal: 'spiffe://foreign.test/ns/shop/sa/x' }],
  },
  {
    about: 'notNamespaces in DENY',
    specs: ['{action: DENY, rules: [{from: [{source: {notNamespaces: ["shop"]}}]}]}'],
    allows: [{}],
    denies: [{ principal: null }, { principal: 'spiffe://foreign.test/ns/shop/sa/x' }],
  },
  {
    about: 'serviceAccounts',
    specs: ['{rules: [{from: [{source: {serviceAccounts: ["web", "dev/tool"]}}]}]}'],
    allows: [{}, { principal: `${ID}dev/sa/tool` }, { principal: 'spiffe://alias.test/ns/dev/sa/tool' }],
    denies: [
      { principal: null },
      { principal: `${ID}dev/sa/web` },
      { principal: `${ID}shop/sa/tool` },
      { principal: 'spiffe://foreign.test/ns/shop/sa/web' },
      { principal: `${ID}shop/sa/web/x` },
    ],
  },
  {
    about: 'serviceAccounts in DENY are read widely',
    specs: ['{action: DENY, rules: [{from: [{source: {serviceAccounts: ["web"]}}]}]}'],
    allows: [{ principal: `${ID}shop/sa/web2` }, { principal: `${ID}dev/sa/web` }],
    denies: [
      {},
      { principal: 'spiffe://foreign.test/ns/shop/sa/web' },
      { principal: `${ID}shop/x/sa/web` },
      { principal: `${ID}shop/sa/web/x` },
    ],
  },
  {
    about: 'trustDomains',
    specs: ['{rules: [{from: [{source: {trustDomains: ["cluster.local", "eu-*", "*.test"]}}]}]}'],
    allows: [{}, { principal: 'spiffe://eu-1/x' }, { principal: 'spiffe://a.test/x' }],
    denies: [
      { principal: null },
      { principal: 'spiffe://cluster.local2/x' },
      { principal: 'spiffe://a.test' },
      { principal: 'spiffe://x/a.test/' },
    ],
  },
  {
    about: 'ipBlocks',
    specs: ['{rules: [{from: [{source: {ipBlocks: ["10.0.0.0/9", "192.168.1.7", "2001:db8::/33"]}}]}]}'],
    allows: [
      {},
      { sourceIp: '10.127.255.255' },
      { sourceIp: '192.168.1.7' },
      { sourceIp: '2001:db8:7fff::1' },
      { sourceIp: '::ffff:10.1.1.1' },
      { tcp: true },
    ],
    denies: [
      { sourceIp: '10.128.0.0' },
      { sourceIp: '192.168.1.8' },
      { sourceIp: '2001:db8:8000::1' },
      { sourceIp: '' },
      { sourceIp: '9.255.255.255' },
      { sourceIp: '11.0.0.1', remoteIp: '10.0.0.1' },
    ],
  },
  {
    about: 'notIpBlocks',
    specs: ['{rules: [{from: [{source: {notIpBlocks: ["10.0.0.0/31"]}}]}]}'],
    allows: [{ sourceIp: '10.0.0.2' }, { sourceIp: '' }],
    denies: [{}, { sourceIp: '10.0.0.0' }],
  },
  {
    about: 'all of IPv4',
    specs: ['{rules: [{from: [{source: {ipBlocks: ["0.0.0.0/0"]}}]}]}'],
    allows: [{}, { sourceIp: '255.1.1.1' }],
    denies: [{ sourceIp: '::1' }],
  },
  {
    about: 'remoteIpBlocks',
    specs: ['{rules: [{from: [{source: {remoteIpBlocks: ["203.0.113.0/24"], notRemoteIpBlocks: ["203.0.113.9"]}}]}]}'],
    allows: [{ remoteIp: '203.0.113.8' }, { remoteIp: '203.0.113.8', tcp: true }],
    denies: [{}, { remoteIp: '203.0.113.9' }, { sourceIp: '203.0.113.8', remoteIp: '1.1.1.1' }],
  },
  {
    about: 'requestPrincipals',
    specs: [
      '{rules: [{from: [{source: {requestPrincipals: ["https://idp/ann", "https://a/*", "*/root", "iss-*", "*.corp/svc", "b/x*", "lone"]}}]}]}',
    ],
    allows: [
      { tokens: [{ issuer: 'https://idp', subject: 'ann' }] },
      { tokens: [{ issuer: 'https://a', subject: 'any' }] },
      { tokens: [{ issuer: 'x', subject: 'root' }] },
      { tokens: [{ issuer: 'iss-1', subject: 's' }] },
      { tokens: [{ issuer: 'my.corp', subject: 'svc' }] },
      { tokens: [{ issuer: 'b', subject: 'xy' }] },
      { tokens: [{ issuer: 'lone', subject: '' }] },
      { tokens: [{ issuer: 'none' }, { issuer: 'https://idp', subject: 'ann' }] },
    ],
    denies: [
      {},
      { tokens: [{ issuer: 'https://idp', subject: 'bob' }] },
      { tokens: [{ issuer: 'https://a', subject: '' }] },
      { tokens: [{ issuer: 'iss-1', subject: '' }] },
      { tokens: [{ issuer: 'b', subject: 'yx' }] },
      { tokens: [{ issuer: 'lone', subject: 'x' }] },
      { tcp: true },
    ],
  },
  {
    about: 'requestPrincipals: suffix',
    specs: ['{rules: [{from: [{source: {requestPrincipals: ["*-bot"]}}]}]}'],
    allows: [{ tokens: [{ subject: 'a-bot' }] }, { tokens: [{ subject: '-bot' }] }],
    denies: [{ tokens: [{ issuer: 'x-bot' }] }, {}],
  },
  {
    about: 'requestPrincipals: any',
    specs: ['{rules: [{from: [{source: {requestPrincipals: ["*"]}}]}]}'],
    allows: [{ tokens: [{}] }],
    denies: [{}, { tokens: [{ subject: '' }] }],
  },
  {
    about: 'notRequestPrincipals',
    specs: ['{rules: [{from: [{source: {notRequestPrincipals: ["*"]}}]}]}'],
    allows: [{}],
    denies: [{ tokens: [{}] }],
  },
  {
    about: 'hosts',
    specs: ['{rules: [{to: [{operation: {hosts: ["Example.com", "*.shop", "pre.*", "p.test:80", "dot.test."]}}]}]}'],
    allows: [{ host: 'example.com' }, { host: 'a.shop' }, { host: 'pre.x' }, { host: 'p.test:80' }, { host: 'dot.test' }],
    denies: [{ host: 'example.com:80' }, { host: 'xexample.com' }, { host: 'shop' }, { host: 'p.test' }, { tcp: true }],
  },
  {
    about: 'notHosts',
    specs: ['{rules: [{to: [{operation: {notHosts: ["*.internal"]}}]}]}'],
    allows: [{}],
    denies: [{ host: 'a.internal' }],
  },
  {
    about: 'ports',
    specs: ['{rules: [{to: [{operation: {ports: ["8080", "80"], notPorts: ["80"]}}]}]}'],
    allows: [{}, { tcp: true }],
    denies: [{ port: 80 }, { port: 8081 }, { port: 36_896 }],
  },
  {
    about: 'methods',
    specs: ['{rules: [{to: [{operation: {methods: ["GET", "PROP*", "*LOCK"]}}]}]}'],
    allows: [{}, { method: 'PROPFIND' }, { method: 'UNLOCK' }],
    denies: [{ method: 'HEAD' }, { method: 'get' }, { method: 'GETX' }, { method: 'PRO' }],
  },
  {
    about: 'notMethods',
    specs: ['{rules: [{to: [{operation: {notMethods: ["GET"]}}]}]}'],
    allows: [{ method: 'POST' }],
    denies: [{}],
  },
  {
    about: 'plain paths',
    specs: ['{rules: [{to: [{operation: {paths: ["/exact", "/prefix/*", "*.txt", "/p*"]}}]}]}'],
    allows: [
      { path: '/exact' },
      { path: '/prefix/' },
      { path: '/prefix/a/b' },
      { path: '/a/b.txt' },
      { path: '/p' },
      { path: '/px' },
    ],
    denies: [{ path: '/exact/' }, { path: '/Exact' }, { path: '/b.txtx' }, { path: '/a' }],
  },
  {
    about: 'nested prefixes',
    specs: [
      '{rules: [{to: [{operation: {paths: ["/a*"], methods: [GET]}}]}, {to: [{operation: {paths: ["/ab*"], methods: [PUT]}}]}, {to: [{operation: {paths: ["/abc"], methods: [POST]}}]}]}',
    ],
    allows: [{ path: '/abc' }, { path: '/abc', method: 'PUT' }, { path: '/abc', method: 'POST' }, { path: '/a' }],
    denies: [
      { path: '/a', method: 'PUT' },
      { path: '/abcd', method: 'POST' },
    ],
  },
  {
    about: 'nested suffixes',
    specs: [
      '{rules: [{to: [{operation: {paths: ["*c"], methods: [GET]}}]}, {to: [{operation: {paths: ["*bc"], methods: [PUT]}}]}]}',
    ],
    allows: [{ path: '/abc' }, { path: '/abc', method: 'PUT' }, { path: '/c' }],
    denies: [{ path: '/c', method: 'PUT' }, { path: '/cb' }],
  },
  {
    about: 'paths: any',
    specs: ['{rules: [{to: [{operation: {paths: ["*"]}}]}]}'],
    allows: [{}, { path: '*' }],
    denies: [{ path: '' }],
  },
  {
    about: 'several values that match',
    specs: [
      '{rules: [{to: [{operation: {methods: [GET]}}], when: [{key: "request.headers[x-a]", values: [v]}]}, {to: [{operation: {methods: [PUT]}}], when: [{key: "request.headers[x-a]", values: [w]}]}]}',
    ],
    allows: [{ headers: { 'x-a': ['v', 'w'] } }, { headers: { 'x-a': ['v', 'w'] }, method: 'PUT' }],
    denies: [{ headers: { 'x-a': ['w'] } }],
  },
  {
    about: 'very many values',
    specs: ['{rules: [{when: [{key: "request.headers[x-a]", values: [v]}]}]}'],
    allows: [{ headers: { 'x-a': Array.from({ length: 100 }, () => 'v') } }],
    denies: [{ headers: { 'x-a': Array.from({ length: 100 }, () => 'n') } }],
  },
  {
    about: 'template {*}',
    specs: ['{rules: [{to: [{operation: {paths: ["/a/{*}", "/b/{*}/c"]}}]}]}'],
    allows: [{ path: '/a/b=c*' }, { path: '/a/b' }, { path: '/a/b%2Fc' }, { path: '/a/b;p' }, { path: '/b/x/c' }],
    denies: [
      { path: '/a' },
      { path: '/a/' },
      { path: '/a/b/' },
      { path: '/a/b/c' },
      { path: '/a/b"c' },
      { path: '/a/\u00c3\u00a9' },
      { path: '/b//c' },
      { path: '/b/x/c/' },
      { path: '/b/x/d' },
    ],
  },
  {
    about: 'template {**}',
    specs: ['{rules: [{to: [{operation: {paths: ["/a/{**}", "/{**}/z"]}}]}]}'],
    allows: [
      { path: '/a/' },
      { path: '/a/b' },
      { path: '/a/b/c' },
      { path: '/a//' },
      { path: '/x/z' },
      { path: '/x/y/z' },
      { path: '//z' },
    ],
    denies: [{ path: '/a' }, { path: '/ab' }, { path: '/z' }, { path: '/x/z/' }, { path: '/a/b|c' }, { path: '/x^y/z' }],
  },
  {
    about: 'templates that share segments',
    specs: [
      '{rules: [{to: [{operation: {paths: ["/v/{*}/x"], methods: [GET]}}]}, {to: [{operation: {paths: ["/v/7/{*}"], methods: [PUT]}}]}, {to: [{operation: {paths: ["/v/{**}/y"], methods: [POST]}}]}]}',
    ],
    allows: [
      { path: '/v/7/x' },
      { path: '/v/7/x', method: 'PUT' },
      { path: '/v/7/y', method: 'POST' },
      { path: '/v/7/y', method: 'PUT' },
    ],
    denies: [{ path: '/v/7/y' }, { path: '/v/8/x', method: 'PUT' }, { path: '/v/7/x', method: 'POST' }],
  },
  {
    about: 'a literal with = in a template',
    specs: ['{rules: [{to: [{operation: {paths: ["/k=v/{*}"]}}]}]}'],
    allows: [{ path: '/k=v/a' }],
    denies: [{ path: '/k=w/a' }],
  },
  {
    about: 'notPaths',
    specs: ['{rules: [{to: [{operation: {notPaths: ["/admin/{**}", "/x*"]}}]}]}'],
    allows: [{}, { path: '/admin' }],
    denies: [{ path: '/admin/a' }, { path: '/xy' }],
  },
  {
    about: 'fields of one operation are all wanted',
    specs: ['{rules: [{to: [{operation: {methods: [GET], paths: ["/a"]}}, {operation: {methods: [PUT], paths: ["/b"]}}]}]}'],
    allows: [{ path: '/a' }, { path: '/b', method: 'PUT' }],
    denies: [{ path: '/b' }, { path: '/a', method: 'PUT' }],
  },
  {
    about: 'from and to are both wanted',
    specs: [
      '{rules: [{from: [{source: {namespaces: [dev]}}, {source: {namespaces: [ops]}}], to: [{operation: {methods: [GET]}}]}]}',
    ],
    allows: [{ principal: `${ID}dev/sa/x` }, { principal: `${ID}ops/sa/x` }],
    denies: [{}, { principal: `${ID}dev/sa/x`, method: 'PUT' }],
  },
  {
    about: 'headers',
    specs: ['{rules: [{when: [{key: "request.headers[X-A]", values: ["v", "p*", "*s"]}]}]}'],
    allows: [
      { headers: { 'x-a': ['v'] } },
      { headers: { 'x-a': ['n', 'v'] } },
      { headers: { 'x-a': ['px'] } },
      { headers: { 'x-a': ['xs'] } },
    ],
    denies: [
      {},
      { headers: { 'x-a': [''] } },
      { headers: { 'x-a': ['V'] } },
      { headers: { 'x-a': ['v,n'] } },
      { headers: { 'x-b': ['v'] } },
      { tcp: true },
    ],
  },
  {
    about: 'headers: present',
    specs: ['{rules: [{when: [{key: "request.headers[x-a]", values: ["*"]}]}]}'],
    allows: [{ headers: { 'x-a': [''] } }, { headers: { 'x-a': ['v'] } }],
    denies: [{}],
  },
  {
    about: 'headers: notValues',
    specs: ['{rules: [{when: [{key: "request.headers[x-a]", notValues: ["v"]}]}]}'],
    allows: [{}, { headers: { 'x-a': ['w'] } }],
    denies: [{ headers: { 'x-a': ['v'] } }, { headers: { 'x-a': ['w', 'v'] } }],
  },
  {
    about: 'headers in DENY',
    specs: ['{action: DENY, rules: [{when: [{key: "request.headers[x-a]", values: ["v"]}]}]}'],
    allows: [{}, { headers: { 'x-a': ['w'] } }],
    denies: [{ headers: { 'x-a': ['w', 'v'] } }, { tcp: true }],
  },
  {
    about: 'all conditions are wanted',
    specs: ['{rules: [{when: [{key: "request.headers[x-a]", values: ["v"]}, {key: "destination.port", values: ["80"]}]}]}'],
    allows: [{ headers: { 'x-a': ['v'] }, port: 80 }],
    denies: [{ headers: { 'x-a': ['v'] } }, { port: 80 }],
  },
  {
    about: 'pseudo headers',
    specs: [
      '{rules: [{when: [{key: "request.headers[:method]", values: ["PUT"]}]}, {when: [{key: "request.headers[Host]", values: ["h.test"]}]}]}',
    ],
    allows: [{ method: 'PUT' }, { host: 'h.test' }],
    denies: [{}],
  },
  {
    about: 'when source.*',
    specs: [
      '{rules: [{when: [{key: source.principal, values: ["cluster.local/ns/shop/sa/web"]}, {key: source.namespace, values: [shop]}, {key: source.serviceAccount, values: [web]}, {key: source.trustDomain, values: [cluster.local]}, {key: source.ip, values: ["10.0.0.0/24"]}, {key: remote.ip, notValues: ["1.1.1.1"]}]}]}',
    ],
    allows: [{}, { tcp: true }],
    denies: [{ principal: `${ID}shop/sa/x` }, { sourceIp: '10.0.1.1' }, { remoteIp: '1.1.1.1' }],
  },
  {
    about: 'when destination.*',
    specs: ['{rules: [{when: [{key: destination.ip, values: ["10.0.0.2"]}, {key: destination.port, values: ["8080"]}]}]}'],
    allows: [{}, { tcp: true }],
    denies: [{ destinationIp: '10.0.0.3' }, { port: 80 }],
  },
  {
    about: 'when connection.sni',
    specs: ['{rules: [{when: [{key: connection.sni, values: ["a.test", "*.b.test"]}]}]}'],
    allows: [{ sni: 'a.test' }, { sni: 'A.TEST' }, { sni: 'x.b.test', tcp: true }],
    denies: [{}, { sni: 'b.test' }],
  },
  {
    about: 'when connection.sni: any',
    specs: ['{rules: [{when: [{key: connection.sni, values: ["*"]}]}]}'],
    allows: [{ sni: 'a' }],
    denies: [{}, { sni: '' }],
  },
  {
    about: 'when request.auth.principal',
    specs: ['{rules: [{when: [{key: request.auth.principal, values: ["iss/sub"]}]}]}'],
    allows: [{ tokens: [{}] }],
    denies: [{}, { tokens: [{ subject: 'x' }] }],
  },
  {
    about: 'when audiences',
    specs: ['{rules: [{when: [{key: request.auth.audiences, values: ["orders"]}]}]}'],
    allows: [{ tokens: [{ audiences: ['x', 'orders'] }] }],
    denies: [{}, { tokens: [{}] }, { tokens: [{ audiences: ['ordersx'] }] }],
  },
  {
    about: 'when presenter',
    specs: ['{rules: [{when: [{key: request.auth.presenter, values: ["cli*"]}]}]}'],
    allows: [{ tokens: [{ presenter: 'cli-1' }] }],
    denies: [{ tokens: [{}] }],
  },
  {
    about: 'when claims',
    specs: [
      '{rules: [{when: [{key: "request.auth.claims[groups]", values: ["a"]}]}, {when: [{key: "request.auth.claims[x][y]", values: ["z"]}]}, {when: [{key: "request.auth.claims[scope]", values: ["read"]}]}, {when: [{key: "request.auth.claims[iss]", values: ["trusted"]}]}]}',
    ],
    allows: [
      { tokens: [{ claims: { groups: 'a' } }] },
      { tokens: [{ claims: { groups: ['b', 'a'] } }] },
      { tokens: [{ claims: { x: { y: 'z' } } }] },
      { tokens: [{ claims: { scope: 'write read' } }] },
      { tokens: [{ issuer: 'trusted' }] },
      { tokens: [{}, { claims: { groups: 'a' } }] },
    ],
    denies: [
      {},
      { tokens: [{}] },
      { tokens: [{ claims: { groups: 'a b' } }] },
      { tokens: [{ claims: { x: { y: ['w'] } } }] },
      { tokens: [{ claims: { groups: 1, x: 'z' } }] },
      { tokens: [{ claims: { iss: 'trusted' } }] },
    ],
  },
  {
    about: 'claims: filled',
    specs: ['{rules: [{when: [{key: "request.auth.claims[a]", values: ["*"]}]}]}'],
    allows: [{ tokens: [{ claims: { a: 'x' } }] }],
    denies: [{ tokens: [{ claims: { a: '' } }] }, { tokens: [{ claims: {} }] }],
  },
  {
    about: 'one token at a time',
    specs: [
      '{rules: [{from: [{source: {requestPrincipals: ["a/*"]}}], when: [{key: "request.auth.claims[role]", values: ["admin"]}]}]}',
    ],
    allows: [{ tokens: [{ issuer: 'a', claims: { role: 'admin' } }, { issuer: 'b' }] }],
    denies: [{ tokens: [{ issuer: 'a' }, { issuer: 'b', claims: { role: 'admin' } }] }],
  },
  {
    about: 'a DENY that matches any token',
    specs: ['{action: DENY, rules: [{when: [{key: "request.auth.claims[role]", values: ["banned"]}]}]}'],
    allows: [{ tokens: [{}] }],
    denies: [{ tokens: [{}, { claims: { role: 'banned' } }] }],
  },
  {
    about: 'metadata of other filters',
    specs: ['{rules: [{when: [{key: "experimental.envoy.filters.a[b]", notValues: ["x"]}]}]}'],
    allows: [],
    denies: [{}],
  },
  {
    about: 'metadata of other filters in DENY',
    specs: [
      '{action: DENY, rules: [{when: [{key: "experimental.envoy.filters.a[b]", values: ["x"]}, {key: destination.port, values: ["80"]}]}]}',
    ],
    allows: [{}],
    denies: [{ port: 80 }],
  },
  {
    about: 'fields of HTTP on raw TCP',
    specs: [
      '{action: DENY, rules: [{from: [{source: {namespaces: [dev]}}], to: [{operation: {ports: ["80"], methods: [GET]}}]}]}',
      '{rules: [{to: [{operation: {ports: ["80"]}}]}, {to: [{operation: {ports: ["81"], paths: ["/"]}}]}, {to: [{operation: {ports: ["82"]}}, {operation: {methods: [GET]}}]}]}',
    ],
    allows: [{ port: 80, tcp: true }, { port: 81 }, { port: 82 }],
    denies: [
      { port: 80, tcp: true, principal: `${ID}dev/sa/x` },
      { port: 81, tcp: true },
      { port: 82, tcp: true },
      { port: 80, principal: `${ID}dev/sa/x` },
    ],
  },
  {
    about: 'text beyond ASCII',
    specs: [
      '{rules: [{when: [{key: "request.headers[x-a]", values: ["é*"]}, {key: "request.auth.claims[n]", values: ["*ü"]}]}]}',
    ],
    allows: [{ headers: { 'x-a': ['\u00c3\u00a9t'] }, tokens: [{ claims: { n: 'Zoü' } }] }],
    denies: [{ headers: { 'x-a': ['\u00e9t'] }, tokens: [{ claims: { n: 'Zoü' } }] }],
  },
  {
    about: 'an excessive identity',
    specs: ['{rules: [{}]}'],
    allows: [{}],
    denies: [{ principal: `spiffe://a${'/x'.repeat(30)}` }],
  },
];
