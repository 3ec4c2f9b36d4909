/**
 * Inputs for the policies of this folder: for each policy a generator of documents that reach all of its rules, and some that
 * have what it looks at missing or of another type.
 */
import { createHash, createHmac, createSign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import type { Random } from '#authz/engine/samples.ts';

export type MakeInput = (draw: Draw) => unknown;

/** What generators draw from. */
export class Draw {
  readonly #random: Random;
  /** Signs ES256 tokens. */
  readonly key: KeyObject;

  constructor(random: Random, key: KeyObject) {
    this.#random = random;
    this.key = key;
  }

  one<T>(...choices: readonly [T, ...T[]]): T {
    return choices[Math.floor(this.#random() * choices.length)] ?? choices[0];
  }

  int(min: number, max: number): number {
    return min + Math.floor(this.#random() * (max - min + 1));
  }

  some<T>(...choices: readonly T[]): T[] {
    return choices.filter(() => this.#random() < 0.5);
  }

  list<T>(max: number, make: (index: number) => T): T[] {
    return Array.from({ length: this.int(0, max) }, (_, index) => make(index));
  }

  /** An object some of whose members are left out. */
  partly(members: Readonly<Record<string, unknown>>, missing = 0.1): Record<string, unknown> {
    return Object.fromEntries(Object.entries(members).filter(() => this.#random() >= missing));
  }
}

export const INPUTS: Readonly<Record<string, MakeInput>> = {
  rbac_roles: (d) =>
    d.partly({
      user: d.one('ann', 'bob', 'cay', 'dan', 'eve'),
      method: method(d),
      path: d.one('/', '/api', '/api/v1/x', '/other'),
    }),
  role_inheritance: (d) =>
    d.partly({
      user: d.one('ann', 'bob', 'cay', 'dan', 'eve'),
      action: d.one('read', 'write', 'delete'),
      resource: d.one('doc', 'log'),
    }),
  spiffe_peers: (d) =>
    envoy(d, {
      principal: d.one(
        'spiffe://cluster.local/ns/shop/sa/web',
        'spiffe://cluster.local/ns/ops/sa/deployer',
        'spiffe://other/ns/web/sa/a',
        'spiffe://cluster.local/ns/web/sa/default',
        'x',
        '',
      ),
    }),
  envoy_paths: (d) => envoy(d, {}),
  envoy_decision: (d) => envoy(d, {}),
  method_matrix: (d) =>
    d.partly({
      method: method(d),
      path: d.one('/orders', '/refunds', '/health', '/x'),
      role: d.one('clerk', 'auditor', 'manager', '*'),
    }),
  tenant_isolation: (d) => ({
    user: d.partly({ tenant: d.one('a', 'b', 'c'), staff: d.one<unknown>(false, false, false, true, 1) }),
    action: d.one('read', 'write'),
    resource: d.partly({
      tenant: d.one('a', 'b'),
      shares: d.list(2, () =>
        d.partly({ tenant: d.one('a', 'b', 'c'), expired: d.one(true, false), actions: d.some('read', 'write') }),
      ),
    }),
  }),
  deny_overrides: (d) =>
    d.partly(
      {
        method: method(d),
        path: d.one('/a', '/a/.git', '/.ssh/x/.y'),
        headers: d.partly({ 'content-length': d.one('5', '5000', 'x'), 'user-agent': d.one('Mozilla', 'curl/8', 'Nmap wget') }),
      },
      0.05,
    ),
  time_window: (d) =>
    d.partly(
      {
        site: d.one('berlin', 'tokyo', 'nyc', 'utc', 'moon'),
        now: d.int(1_700_000_000, 1_800_000_000) * 1_000_000_000,
        emergency: d.one(false, false, true),
      },
      0.05,
    ),
  time_dates: (d) => ({
    now: d.int(1_700_000_000, 1_800_000_000) * 1_000_000_000,
    contract: {
      start: d.one(
        '2025-01-31T10:00:00Z',
        '2024-02-29T23:59:59+02:00',
        '2026-06-15T00:00:00.5-07:00',
        '2026-13-01T00:00:00Z',
        'soon',
      ),
      months: d.int(-3, 30),
    },
  }),
  jwt_hs256: (d) => {
    // Mostly one fault at most, so that each is seen to be the reason.
    const fault = d.int(0, 11);
    const claims = {
      iss: fault === 1 ? 'https://evil.test' : 'https://idp.test',
      ...(fault === 2 ? {} : { aud: fault === 3 ? d.one<unknown>('mail', 7) : d.one<unknown>('orders', ['x', 'orders']) }),
      exp: fault === 4 ? d.one<unknown>(1_767_225_600, 1_700_000_000, '1900000000') : d.one(1_767_225_601, 1_900_000_000),
      nbf: fault === 5 ? 1_767_225_601 : d.one(0, 1_767_225_600),
      ...d.partly({ scope: d.one('orders:read', 'a orders:read b', ''), admin: d.one(true, false, false) }),
    };
    const good = d.one<object>({ alg: 'HS256' }, { alg: 'HS256', typ: 'JWT' });
    const bad = d.one<object>({ alg: 'none' }, { alg: 'HS512' }, { alg: 'HS256', crit: ['b64'], b64: false }, {});
    const secret = fault === 7 ? 'another-secret' : 'a-secret-of-thirty-two-characters';
    const token = hmacToken(fault === 6 ? bad : good, claims, secret);
    const sent = fault === 8 ? d.one(`Bearer ${token}x`, 'Bearer a.b', 'Basic') : `Bearer ${token}`;
    return { method: method(d), headers: { authorization: sent } };
  },
  jwt_claims: (d) => {
    const claims = d.partly({
      sub: d.one('ann', 'bob'),
      exp: d.one(1_800_000_000, 1_800_000_000, 1),
      groups: d.some('shop', 'ops', 'x'),
    });
    return {
      headers: d.partly({
        authorization: d.one(
          `Bearer ${hmacToken({ alg: 'HS256' }, claims, 'k')}`,
          `Bearer ${hmacToken({ alg: 'HS256' }, claims, 'k')}`,
          'Bearer x.y.z',
          'Bearer e30.e30.',
        ),
      }),
    };
  },
  jwt_es256: (d) => {
    const token = ecToken(d.key, d.one({ alg: 'ES256', kid: 'k1' }, { alg: 'ES256' }, { alg: 'ES256', kid: 'other' }), {
      sub: d.one('ann', 'bob', 'eve'),
    });
    return d.partly({ token: d.one(token, token, `${token.slice(0, -4)}AAAA`, 'x.y', '') }, 0.05);
  },
  network_cidr: (d) => ({
    source: d.partly({
      ip: d.one(
        '10.1.2.3',
        '10.66.1.1',
        '192.168.5.7',
        '192.168.7.255',
        '192.168.8.0',
        '2001:db8:1::5',
        '2001:db8:2::5',
        '8.8.8.8',
        'x',
      ),
      net: d.one('203.0.113.128/25', '203.0.112.0/22', '198.51.100.0/24', '203.0.113.5'),
    }),
  }),
  cidr_tables: (d) => ({
    nets: d.some(
      '10.0.0.0/9',
      '10.128.0.0/9',
      '192.168.0.0/24',
      '192.168.1.0/24',
      '192.168.3.0/24',
      '2001:db8::/33',
      '2001:db8:8000::/33',
    ),
    ips: d.some('10.0.1.7', '172.16.3.4', '10.0.200.0/28', '9.9.9.9'),
    small: d.one('10.0.0.0/30', '10.0.0.9/32', '192.168.1.0/28', '2001:db8::/125'),
  }),
  glob_hosts: (d) =>
    d.partly({
      host: d.one(
        'a.shop.example',
        'a.b.shop.example',
        'api.example',
        'api.x.y.example',
        'www.shop.test',
        'mm.shop.test',
        'db1.internal',
        'dbx.internal',
        'a.short.test',
        'ab.short.test',
      ),
      path: d.one('/files/a/public/b/c', '/files/a/b/public/c', '/x-healthz', '/a/b-healthz', '/'),
    }),
  regex_paths: (d) =>
    d.partly({
      path: d.one(
        '/v1/users/ann-1',
        '/v2/users/ab',
        '/v3/users/abcdef',
        '/cards/4111111111111111/x/123',
        '/cards/',
        '/tags',
        '/v1/users/ANN',
      ),
      tags: d.one('a, b;c', '', 'one', ';;x,', 'größe, ß'),
    }),
  attribute_based: (d) => ({
    subject: d.partly({
      clearance: d.one('public', 'internal', 'secret', 'top', 'none'),
      topics: d.some('nuclear', 'naval', 'space'),
      country: d.one('XX', 'DE'),
    }),
    object: d.partly({
      classification: d.one('public', 'internal', 'secret'),
      topics: d.some('nuclear', 'naval'),
      country: d.one('XX', 'DE', 'YY'),
    }),
  }),
  relationship: (d) =>
    d.partly({ user: d.one('ann', 'bob', 'cay', 'dan', 'eve'), document: d.one('d1', 'd2', 'd3', 'd9', 'root') }),
  quota: (d) => ({
    plan: d.one('free', 'pro', 'max', 'none'),
    day: d.int(1, 3),
    calls: d.list(6, () => ({ day: d.int(1, 3), cost: d.one(1, 2, 3, 500, 0.5) })),
  }),
  arithmetic: (d) =>
    d.partly(
      {
        a: d.one<unknown>(d.int(-50, 50), 0.1, 2.25, 12_345_678_901, -7.5),
        b: d.one<unknown>(d.int(-50, 50), 0.2, 1e3, 98_765_432_109),
        n: d.int(0, 12),
      },
      0.03,
    ),
  header_rules: (d) => ({
    headers: d.partly(
      { accept: '*/*', 'x-internal-user': 'a', cookie: 'c', Accept: 'text/html', 'x-y': d.one('1', '2'), authorization: 'b' },
      0.4,
    ),
  }),
  feature_flags: (d) => ({ user: `user-${d.int(1, 500)}`, flag: d.one('new-ui', 'beta', 'all', 'gone') }),
  else_chain: (d) =>
    d.partly(
      {
        user: d.one('ann', 'bob', 'cay'),
        owner: d.one('ann', 'bob'),
        shared: d.some('ann', 'cay'),
        action: d.one('read', 'write'),
        public: d.one(true, false),
      },
      0.15,
    ),
  with_overrides: (d) => d.partly({ role: d.one('guest', 'admin', 'nobody'), action: d.one('read', 'write', 'drop') }),
  functions: (d) =>
    d.partly({
      kind: d.one('payment', 'refund', 'gift'),
      amount: d.one<unknown>(d.int(0, 600), d.int(0, 30), 'much'),
      tier: d.one('gold', 'silver', 'tin'),
    }),
  partial_objects: (d) => ({
    values: d.partly(
      {
        age: d.one<unknown>(-1, 0, 30, 200, 'x'),
        count: d.one<unknown>(0, 1, 5.5, 11),
        rate: d.one<unknown>(0, 0.5, 1, 1.5, null),
      },
      0.3,
    ),
  }),
  walk_secrets: (d) => ({
    body: {
      user: d.partly({ name: 'x', Password: d.one<unknown>('p', 7, null) }, 0.5),
      items: d.list(3, () => d.partly({ token_id: 't', v: [d.one<unknown>('a', 1)] }, 0.5)),
      [d.one('client_secret', 'note')]: 's',
    },
  }),
  json_shape: (d) => ({
    document: d.partly({
      name: 'n',
      secret: 's',
      address: d.partly({ city: d.one('Ulm', 'Bonn'), street: 'x' }),
      tags: d.list(3, (i) => `t${i}`),
    }),
  }),
  object_tools: (d) => ({
    settings: d.partly(
      {
        enabled: d.one<unknown>(true, false, null),
        level: d.int(1, 3),
        nested: d.one<unknown>({ a: 2 }, { c: [] }, 5),
        extra: { deep: { er: 1 } },
      },
      0.3,
    ),
  }),
  sets: (d) => ({ scopes: d.some('r', 'w', 'a', 'x'), action: d.one('read', 'write', 'admin', 'none') }),
  strings: (d) => ({ text: d.one('abc abc', 'Ab bayz', 'äbç ñ 😀 z', 'ab', ' a b ', 'Straße İ', 'aaaa yz') }),
  formats: (d) => ({
    n: d.int(-300, 70_000),
    f: d.one(0.5, 3.14159, -2.25, 1234.5678, 0.00012),
    s: d.one('text', 'q"uo\\te', 'ü', ''),
    list: d.list(3, (i) => d.one<unknown>(i, 'a', null, [1])),
  }),
  encodings: (d) => ({
    text: d.one('plain', 'a b+c=d/e?', 'ü😀', 'x', '[tag] + "q"', "it's (*)!"),
    b64: d.one('aGVsbG8=', 'eA==', '!!', '{}'),
  }),
  digests: (d) => {
    const body = d.one('{"a":1}', 'x', '');
    const good = createHmac('sha256', 'webhook-secret').update(body).digest('hex');
    return d.partly({
      body,
      signature: d.one(
        `sha256=${good}`,
        good,
        createHash('md5').update(body).digest('hex'),
        createHash('sha1').update(body).digest('hex'),
        'sha256=00',
        '',
      ),
    });
  },
  versions: (d) =>
    d.partly({
      version: d.one('1.3.9', '1.4.0', '1.4.0-beta', '2.0.0-rc.1', '2.0.0-rc.2', '2.0.0-rc.1.x+b', '10.0.0', 'v1', '1.2'),
      size: d.one('1Ki', '10MB', '5', '1.5GiB', 'x'),
      cores: d.one('100m', '2', '1.5k', '3Mi', 'm'),
    }),
  kubernetes_admission: (d) => ({
    request: {
      object: {
        metadata: d.partly({ labels: d.partly({ team: 'a' }, 0.4) }, 0.2),
        spec: {
          containers: d.list(3, (i) =>
            d.partly(
              {
                name: `c${i}`,
                image: d.one('registry.example/a:1', 'docker.io/b'),
                securityContext: d.partly({ privileged: d.one(true, false, false) }),
                resources: { limits: d.partly({ memory: d.one('512Mi', '1Gi', '2Gi', '1025Mi', 'lots') }) },
              },
              0.15,
            ),
          ),
        },
      },
    },
  }),
  every_item: (d) => ({
    orders: d.list(3, () =>
      d.partly({
        total: d.one(10, 999, 1000),
        approved: d.one(true, false),
        fraud: d.one(false, false, true),
        lines: d.list(2, () => ({ product: d.one('p1', 'p2', 'p9'), quantity: d.one(1, 2, 2, 0) })),
      }),
    ),
  }),
  dynamic_packages: (d) =>
    d.partly({ check: d.one<unknown>('even', 'large', 'named', 'skip', 'gone', 4), n: d.int(0, 100), name: d.one('', 'x') }),
  unification: (d) => ({
    value: d.one<unknown>(
      [d.int(1, 2), d.int(1, 2)],
      { tag: 't', rest: [1] },
      [3, 3, 3],
      [1, 2, 3],
      { a: [1, { b: 'deep' }] },
      { a: [{ b: 1 }, 1] },
      5,
    ),
  }),
  conflicts: (d) => ({ n: d.int(0, 120) }),
  undefined: (d) =>
    d.partly({ number: d.one<unknown>('4', '0', 'x', '-2.5', 8, null), when: d.one('2026-01-01T00:00:00Z', 'never') }),
  comprehensions: (d) => ({
    people: d.list(5, (i) => d.partly({ name: d.one('ann', 'bob', 'cay'), team: d.one('a', 'b'), age: 20 + 5 * i }, 0.1)),
  }),
  v0_syntax: (d) => envoy(d, {}),
  graphql_like: (d) => ({
    role: d.one('guest', 'member', 'admin', 'x'),
    selection: d.partly(
      { user: d.partly({ name: true, email: true }, 0.5), order: d.partly({ id: true, total: true }, 0.5) },
      0.2,
    ),
  }),
  tracing_ids: (d) =>
    d.partly({
      id: d.one(
        '0190163d-8694-4b5a-95c2-4c5f0e3b1a2c',
        '0190163d-8694-7b5a-95c2-4c5f0e3b1a2c',
        'urn:order:123:de',
        'urn:order:x:de',
        '4bf92f3577b34da6a3ce929d0e0e4736',
        '4bf92f3577b34da6a3ce929d0e0e473g',
        'x',
      ),
    }),
};

/** A request as opa-envoy-plugin hands it over. */
function envoy(d: Draw, { principal }: { readonly principal?: string }): unknown {
  const path = d.one(
    '/api/v1/items/17',
    '/api/v1/items/x',
    '/api/v1/search?q=shoes',
    '/api/v1/search?q=ab',
    '/admin/users',
    '/people',
    '/people/1',
    '/',
  );
  const headers = d.partly(
    {
      'x-role': d.one('admin', 'user'),
      authorization: d.one('Bearer Ann ', 'Basic YWxpY2U', 'Basic Ym9i', 'Basic ???'),
      'x-scopes': d.one('a b', ' b  a', ''),
    },
    0.2,
  );
  const [route = '', query = ''] = path.split('?');
  return {
    attributes: {
      source: d.partly({ principal: principal ?? 'spiffe://cluster.local/ns/shop/sa/web' }),
      request: { http: { method: method(d), path, headers } },
    },
    parsed_path: route.slice(1).split('/'),
    parsed_query: query === '' ? {} : { q: [query.slice(2)] },
    parsed_body: d.one<unknown>(null, { firstname: 'Alice' }, { firstname: 'Zoe' }),
  };
}

function method(d: Draw): string {
  return d.one('GET', 'GET', 'POST', 'PUT', 'DELETE', 'TRACE');
}

function hmacToken(header: object, claims: object, secret: string): string {
  const signed = `${segment(header)}.${segment(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

function ecToken(key: KeyObject, header: object, claims: object): string {
  const signed = `${segment(header)}.${segment(claims)}`;
  const signature = createSign('sha256').update(signed).sign({ key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

function segment(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
