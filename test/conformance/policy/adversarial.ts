/**
 * Policy sets made to find faults: few words, so that patterns overlap; every field and key, every form of value, negations,
 * several sources and operations, nested blocks and prefixes, templates over two or three words, text that is not ASCII.
 */
import type { Random } from '#authz/engine/samples.ts';
import type { Condition, OperationField, Policy, Rule, SourceField } from '#authz/policy/model.ts';
import { OPERATION_FIELDS, SOURCE_FIELDS } from '#authz/policy/model.ts';

import { operation, policy, source } from './realistic.ts';

export function adversarialPolicies(random: Random): readonly Policy[] {
  const maker = new Maker(random);
  const policies: Policy[] = [];
  const count = 1 + maker.below(3);
  for (let index = 0; index < count; index++) {
    const isDeny = maker.chance(0.35);
    const rules = Array.from({ length: (isDeny ? 1 : 0) + maker.below(isDeny ? 2 : 6) }, () => maker.rule());
    policies.push({
      ...policy(`p${index}`, isDeny ? 'DENY' : 'ALLOW', rules),
      namespace: maker.chance(0.1) ? 'istio-system' : 'shop',
    });
  }
  return policies;
}

class Maker {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  rule(): Omit<Rule, 'position' | 'name'> {
    const from = this.#some(2, () => source(this.#fields(SOURCE_FIELDS, SOURCE_VALUES)));
    const to = this.#some(2, () => operation(this.#fields(OPERATION_FIELDS, OPERATION_VALUES)));
    const when = this.chance(0.4) ? this.#some(2, () => this.#condition()) : [];
    return { from, to, when };
  }

  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  chance(share: number): boolean {
    return this.#random() < share;
  }

  #some<T>(most: number, make: () => T): readonly T[] {
    return this.chance(0.3) ? [] : Array.from({ length: 1 + this.below(most) }, make);
  }

  #fields<F extends SourceField | OperationField>(
    names: readonly F[],
    values: Readonly<Record<string, readonly string[]>>,
  ): Partial<Record<F, readonly string[]>> {
    const chosen: Partial<Record<F, readonly string[]>> = {};
    const count = 1 + this.below(3);
    for (let index = 0; index < count; index++) {
      const name = names[this.below(names.length)];
      if (name === undefined || (name.startsWith('not') && this.chance(0.4))) continue;
      const plain = name.startsWith('not') ? name.charAt(3).toLowerCase() + name.slice(4) : name;
      chosen[name] = this.#values(values[plain] ?? []);
    }
    if (Object.keys(chosen).length > 0) return chosen;
    const [first] = names;
    return first === undefined ? {} : ({ [first]: this.#values(values[first] ?? []) } as Partial<Record<F, readonly string[]>>);
  }

  #condition(): Condition {
    const [key = '', values = []] = CONDITIONS[this.below(CONDITIONS.length)] ?? [];
    const roll = this.#random();
    const pick = (): readonly string[] => this.#values(values);
    if (roll < 0.7) return { key, values: pick(), notValues: [] };
    return roll < 0.85 ? { key, values: [], notValues: pick() } : { key, values: pick(), notValues: pick() };
  }

  #values(values: readonly string[]): readonly string[] {
    const chosen = Array.from({ length: 1 + this.below(4) }, () => values[this.below(values.length)] ?? '*');
    return [...new Set(chosen)];
  }
}

const STRINGS = ['a', 'b', 'ab', 'a*', 'ab*', '*a', '*b', '*ba', '*', 'é', 'é*', '*é', 'a-b', '*-*', 'a\\b', 'x.y', '.*'];
const IPS = [
  '10.0.0.1',
  '10.0.0.0/8',
  '10.0.0.0/9',
  '10.128.0.0/9',
  '10.0.0.0/31',
  '10.0.0.0/13',
  '0.0.0.0/0',
  '127.0.0.1',
  '::/0',
  '2001:db8::/32',
  '2001:db8::/35',
  '2001:db8::1',
  '::ffff:10.0.0.0/104',
  '::1',
];
const PORTS = ['80', '8080', '443', '1', '65535'];
const NAMESPACES = ['default', 'a', 'a*', '*a', 'n*', '*', 'a*b', '*a*', 'ab', 'é', 'ns', 'sa'];
const ACCOUNTS = ['default', 'a', 'shop/a', 'a/b', 'default/default', 'ns/sa', 'b'];
const TRUST_DOMAINS = ['cluster.local', 'cluster*', '*local', '*', 'foreign.test', 'alias.test', 'a'];
const PRINCIPALS = [
  'cluster.local/ns/default/sa/default',
  'cluster.local/ns/a/sa/b',
  'alias.test/ns/a/sa/b',
  '*.test/ns/a/sa/b',
  '*/ns/a/sa/b',
  'cluster.local/*',
  'cluster.local/ns/a/*',
  '*/sa/b',
  '*b',
  '*',
  'a',
  'foreign.test/ns/a/sa/b',
  'cluster*',
  '*/a',
  'other.local/ns/a/sa/b',
  '*local/ns/a/sa/b',
  'alias*/ns/a/sa/b',
];
const REQUEST_PRINCIPALS = [
  'issuer/subject',
  'issuer/*',
  'issuer',
  '*',
  '*subject',
  'iss*',
  '*/subject',
  '*suer/subject',
  'issuer/sub*',
  'https://a/b',
  'https://a/*',
  '*t',
  '*/',
  'é/é',
  'a/b*',
];
const PATHS = [
  '/',
  '/a',
  '/a/b',
  '/a/*',
  '/a*',
  '*',
  '*b',
  '*/b',
  '/a/{*}',
  '/a/{**}',
  '/{*}/b',
  '/{**}/b',
  '/{*}/{*}',
  '/a/{*}/b/{**}',
  '/{**}',
  '/a/{*}/{**}/b',
  '/a/b/{*}',
  '/a=b/{*}',
  '/{*}/a=b',
  '/é',
  '/a/b/c*',
  '/x/{**}/b',
  '/a/{*}/',
  '/b/a/{**}',
  '//a',
  '/a//b',
  '*a=b',
];
const METHODS = ['GET', 'POST', 'G*', '*T', '*', 'DELETE', 'get'];
const HOSTS = [
  'service.test',
  '*.test',
  'service.*',
  '*',
  'Service.TEST',
  'service.test:80',
  'a',
  '*:80',
  'service.test.',
  'service.test.:80',
  '*.',
  'é.test',
];
const SOURCE_VALUES: Readonly<Record<string, readonly string[]>> = {
  principals: PRINCIPALS,
  requestPrincipals: REQUEST_PRINCIPALS,
  namespaces: NAMESPACES,
  serviceAccounts: ACCOUNTS,
  trustDomains: TRUST_DOMAINS,
  ipBlocks: IPS,
  remoteIpBlocks: IPS,
};
const OPERATION_VALUES: Readonly<Record<string, readonly string[]>> = {
  hosts: HOSTS,
  ports: PORTS,
  methods: METHODS,
  paths: PATHS,
};
const CONDITIONS: readonly (readonly [string, readonly string[]])[] = [
  ['request.headers[X-A]', STRINGS],
  ['request.headers[x-b]', STRINGS],
  ['request.headers[:method]', METHODS],
  ['request.headers[Host]', HOSTS],
  ['source.ip', IPS],
  ['remote.ip', IPS],
  ['destination.ip', IPS],
  ['destination.port', PORTS],
  ['source.namespace', NAMESPACES],
  ['source.principal', PRINCIPALS],
  ['source.serviceAccount', ACCOUNTS],
  ['source.trustDomain', TRUST_DOMAINS],
  ['request.auth.principal', REQUEST_PRINCIPALS],
  ['request.auth.audiences', STRINGS],
  ['request.auth.presenter', STRINGS],
  ['request.auth.claims[iss]', ['issuer', 'iss*', '*']],
  ['request.auth.claims[scope]', ['a', 'a b', 'b*', '*']],
  ['request.auth.claims[groups]', STRINGS],
  ['request.auth.claims[a][b]', STRINGS],
  ['connection.sni', ['exact.com', '*.com', 'exact*', '*', 'EXACT.com']],
  ['experimental.envoy.filters.a.b[c]', ['x']],
];
