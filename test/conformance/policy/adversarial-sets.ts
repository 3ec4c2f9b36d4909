/**
 * Whole sets for one workload, made to find faults: policies of every action and mode, strict rules with every attribute and form of
 * comparison, ceilings and musts, network stages, mutual TLS and word lists, over few words so that they overlap.
 */
import { seededRandom } from '#authz/engine/samples.ts';
import type { Random } from '#authz/engine/samples.ts';
import { policiesOf } from '#authz/plan/compile.ts';
import type { Attribute, Comparison, Expression } from '#authz/policy/expression.ts';
import { isListed } from '#authz/policy/expression.ts';
import type { ValueFacet } from '#authz/policy/parameters.ts';
import type { Action, Mode, Policy, Rule } from '#authz/policy/model.ts';
import type { InheritedLevel, NetworkStage, WorkloadPolicies } from '#authz/policy/workload-policies.ts';

import { adversarialPolicies } from './adversarial.ts';
import { COMPILE_OPTIONS, WORKLOAD } from './realistic.ts';

export function adversarialSet(random: Random): WorkloadPolicies {
  return new SetMaker(random, random() < 0.5).make();
}

class SetMaker {
  readonly #random: Random;
  /** Only what other hosts can be asked for, too. */
  readonly #isPlain: boolean;

  constructor(random: Random, isPlain: boolean) {
    this.#random = random;
    this.#isPlain = isPlain;
  }

  make(): WorkloadPolicies {
    const base = policiesOf(adversarialPolicies(seededRandom(this.#below(2 ** 31))), WORKLOAD, {
      ...COMPILE_OPTIONS,
      trustDomainAliases: ['alias.test'],
    });
    const own = Array.from({ length: this.#below(3) }, (_, index) => this.#policy(`s${index}`));
    const policies = [...base.policies.map((policy) => this.#changed(policy)), ...own];
    return {
      ...base,
      policies,
      levels: this.#chance(0.35) ? Array.from({ length: 1 + this.#below(2) }, (_, index) => this.#level(index)) : [],
      network: this.#chance(0.35) ? Array.from({ length: 1 + this.#below(2) }, () => this.#networkStage()) : [],
      mtls:
        !this.#isPlain && this.#chance(0.2)
          ? {
              isStrict: this.#chance(0.5),
              ports: this.#chance(0.5) ? { 8080: this.#chance(0.5), 80: this.#chance(0.5) } : {},
              policy: 'shop/mtls',
            }
          : null,
      spaceDelimitedClaims: !this.#isPlain && this.#chance(0.2) ? [{ issuer: 'issuer', claims: ['groups'] }] : [],
    };
  }

  /** Some of the policies audit, ask or are only tried. */
  #changed(policy: Policy): Policy {
    const rules = policy.rules.map((rule) => (this.#chance(0.3) ? this.#rule(rule.name) : rule));
    return { ...policy, rules, ...this.#action(policy.action) };
  }

  #policy(name: string): Policy {
    const rules = Array.from({ length: 1 + this.#below(3) }, (_, index) => this.#rule(String(index)));
    const action: Action = this.#chance(0.7) ? 'ALLOW' : 'DENY';
    return {
      namespace: 'shop',
      name,
      selector: {},
      isForGateways: false,
      scope: null,
      validity: null,
      rules,
      position: NOWHERE,
      ...this.#action(action),
    };
  }

  #action(usual: Action): Pick<Policy, 'action' | 'mode' | 'provider'> {
    if (this.#isPlain) return { action: usual, mode: 'enforce', provider: null };
    const roll = this.#random();
    const mode: Mode = this.#chance(0.8) ? 'enforce' : this.#chance(0.5) ? 'audit' : 'learn';
    if (roll < 0.1) return { action: 'AUDIT', mode, provider: null };
    if (roll < 0.2) return { action: 'CUSTOM', mode: this.#chance(0.5) ? mode : 'audit', provider: this.#pick(['p', 'q']) };
    return { action: usual, mode, provider: null };
  }

  #rule(name: string): Rule {
    const some = (most: number): readonly Expression[] =>
      Array.from({ length: this.#below(most + 1) }, () => this.#expression(2));
    return { name, from: [], to: [], when: [], strict: { from: some(2), to: some(2), when: some(2) }, position: NOWHERE };
  }

  #level(index: number): InheritedLevel {
    const scope = { path: index === 0 ? '/' : '/acme', priority: 100 } as const;
    const ceilings = this.#chance(0.6)
      ? [
          {
            ...this.#policy(`c${index}`),
            action: 'ALLOW' as const,
            provider: null,
            scope: { ...scope, inheritance: 'ceiling' as const },
          },
        ]
      : [];
    const musts = Array.from({ length: this.#below(3) }, (_, number) => ({
      ...this.#policy(`m${index}${number}`),
      action: this.#pick<Action>(this.#isPlain ? ['ALLOW', 'DENY'] : ['ALLOW', 'DENY', 'AUDIT']),
      provider: null,
      scope: { ...scope, inheritance: 'must' as const },
    }));
    return { path: scope.path, ceilings, musts };
  }

  #networkStage(): NetworkStage {
    const match = (): Expression => this.#expression(2, CONNECTION);
    return {
      direction: 'ingress',
      applies: match(),
      tiers: Array.from({ length: 1 + this.#below(2) }, () => ({
        rules: Array.from({ length: this.#below(4) }, (_, index) => ({
          policy: 'net',
          name: String(index),
          action: this.#pick(['accept', 'deny', 'pass'] as const),
          match: match(),
          position: NOWHERE,
        })),
        otherwise: this.#chance(0.3) ? { deniedBy: 'net/default' } : 'next',
      })),
    };
  }

  #expression(depth: number, attributes: readonly Attribute[] = ALL): Expression {
    const roll = this.#random();
    if (depth > 0 && roll < 0.3) {
      const of = Array.from({ length: this.#below(4) }, () => this.#expression(depth - 1, attributes));
      return { kind: this.#chance(0.5) ? 'all' : 'any', of };
    }
    if (depth > 0 && roll < 0.45) return { kind: 'not', of: this.#expression(depth - 1, attributes) };
    const attribute = this.#pick(this.#isPlain ? attributes.filter(({ kind }) => !SPECIAL.has(kind)) : attributes);
    if (roll < 0.55) return { kind: 'present', attribute };
    const values = isListed(attribute) && this.#chance(0.5) ? 'all' : 'any';
    const comparisons = Array.from({ length: 1 + this.#below(3) }, () => this.#comparison(attribute));
    return { kind: 'match', attribute, values, comparisons };
  }

  #comparison({ kind }: Attribute): Comparison {
    if (this.#chance(0.08)) return { form: 'any' };
    if (kind === 'sourceIp' || kind === 'remoteIp' || kind === 'destinationIp') return { form: 'cidr', text: this.#pick(BLOCKS) };
    if (kind === 'destinationPort') {
      const low = this.#pick([1, 80, 443, 8000, 8080]);
      return { form: 'range', low, high: low + this.#pick([0, 1, 300, 5000]) };
    }
    const text = this.#pick(TEXTS[kind] ?? WORDS);
    const roll = this.#random();
    if (kind === 'path' && roll < 0.15) {
      const template = this.#pick(TEMPLATES);
      const facets = [...template.matchAll(/\{\*\}/g)].map(() => (this.#chance(0.2) ? null : this.#pick(FACETS)));
      return { form: 'segments', text: template, facets };
    }
    if (kind === 'path' && roll < 0.4) return { form: 'template', text: this.#pick(TEMPLATES) };
    if (kind === 'query' && roll < 0.3) return { form: 'named', name: this.#pick(NAMES) };
    if (kind === 'query') {
      const names = NAMES.filter(() => this.#chance(0.5));
      return { form: 'parameters', facets: names.map((name) => ({ name, facet: this.#pick(FACETS) })) };
    }
    if (roll < 0.2) return { form: 'regex', text: this.#pick(REGEXES) };
    if (roll < 0.7) return { form: 'exact', text };
    const length = 1 + this.#below(text.length);
    return roll < 0.85 ? { form: 'prefix', text: text.slice(0, length) } : { form: 'suffix', text: text.slice(-length) };
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #pick<T>(items: readonly T[]): T {
    const item = items[this.#below(items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  }
}

const NOWHERE = { file: 'generated', line: 0, column: 0 };
const CONNECTION: readonly Attribute[] = [
  { kind: 'principal' },
  { kind: 'trustDomain' },
  { kind: 'namespace' },
  { kind: 'serviceAccount' },
  { kind: 'sourceIp' },
  { kind: 'remoteIp' },
  { kind: 'destinationIp' },
  { kind: 'destinationPort' },
  { kind: 'sni' },
  { kind: 'tls' },
  { kind: 'protocol' },
  { kind: 'tag', name: 'env' },
];
const ALL: readonly Attribute[] = [
  ...CONNECTION,
  { kind: 'method' },
  { kind: 'host' },
  { kind: 'path' },
  { kind: 'query' },
  { kind: 'header', name: 'x-a' },
  { kind: 'header', name: 'x-b' },
  { kind: 'header', name: 'x-a' },
  { kind: 'issuer' },
  { kind: 'subject' },
  { kind: 'audiences' },
  { kind: 'presenter' },
  { kind: 'claim', path: ['groups'] },
  { kind: 'claim', path: ['scope'] },
  { kind: 'claim', path: ['a', 'b'] },
];
/** What one or the other host cannot be asked for. */
const SPECIAL: ReadonlySet<Attribute['kind']> = new Set(['sourceIp', 'remoteIp', 'tls', 'protocol', 'tag']);
const WORDS = ['a', 'b', 'ab', 'a/b', 'é', 'x.y', 'b-1'];
const TEXTS: Partial<Record<Attribute['kind'], readonly string[]>> = {
  principal: ['cluster.local/ns/default/sa/default', 'cluster.local/ns/a/sa/b', 'foreign.test/x'],
  trustDomain: ['cluster.local', 'alias.test', 'foreign.test'],
  namespace: ['default', 'a', 'ab'],
  serviceAccount: ['default/default', 'a/b'],
  sni: ['exact.com', 'a.b'],
  tls: ['true', 'false'],
  protocol: ['http', 'http2', 'grpc', 'tcp'],
  method: ['GET', 'POST', 'DELETE'],
  host: ['service.test', 'a', 'service.test:80'],
  path: ['/', '/a', '/a/b', '/b/a'],
  issuer: ['issuer', 'a'],
  subject: ['subject', 'b'],
};
const BLOCKS = ['10.0.0.0/8', '10.0.0.1', '10.0.0.0/31', '127.0.0.0/8', '2001:db8::/32', '::1', '0.0.0.0/0', '10.0.0.0/13'];
const TEMPLATES = ['/a/{*}', '/{**}', '/{*}/b', '/a/{*}/{**}', '/a/b', '/a/{**}/b'];
const NAMES = ['a', 'ab', 'b c', 'é', 'a&=', ''];
const FACETS: readonly ValueFacet[] = [
  { kind: 'type', type: 'integer' },
  { kind: 'type', type: 'number' },
  { kind: 'type', type: 'boolean' },
  { kind: 'type', type: 'uuid' },
  { kind: 'values', values: ['a', 'a b', '', 'é/&=+%'] },
  { kind: 'values', values: ['17', 'true'] },
  { kind: 'pattern', text: '^[a-c]+$|é' },
  { kind: 'pattern', text: 'b.?' },
  { kind: 'pattern', text: '(?i)^A$' },
  { kind: 'length', least: 0, most: 2 },
  { kind: 'length', least: 2, most: null },
];
const REGEXES = [
  'a+b?',
  '(?i)GET|post',
  '[a-c/]*',
  '\\w+\\.test(:\\d+)?',
  '.*a$',
  'é|\\x61',
  '(a|b){2,3}',
  '\\bx.*',
  '[^a]+',
  '/(a|b)(/.*)?',
];
