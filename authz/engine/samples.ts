/**
 * Requests made from the policies themselves: for a rule values that it asks for, and values that nearly fit. Deterministic by its
 * seed. The self-test runs them before a swap; the tests run very many.
 */
import { parseCidr } from '#base/cidr.ts';

import type { Condition, Operation, OperationField, Rule, Source, SourceField } from '../policy/model.ts';
import type { WorkloadPolicies } from '../policy/workload-policies.ts';
import type { AuthzInput } from './input.ts';
import type { Expression } from '../policy/expression.ts';
import { Draft } from './sample-draft.ts';
import { applyStrictRule, sampleExpression } from './sample-strict.ts';

/** A number in [0, 1). */
export type Random = () => number;

/** A small generator (mulberry32): equal seeds give equal sequences. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Makes one request after another. */
export class SampleMaker {
  readonly #set: WorkloadPolicies;
  readonly #random: Random;
  readonly #rules: readonly { readonly rule: Rule; readonly namespace: string }[];
  readonly #network: readonly Expression[];
  readonly #providers: readonly string[];

  constructor(set: WorkloadPolicies, random: Random) {
    this.#set = set;
    this.#random = random;
    const inherited = set.levels.flatMap(({ ceilings, musts }) => [...ceilings, ...musts]);
    const policies = [...inherited, ...set.policies];
    this.#rules = policies.flatMap((policy) =>
      policy.rules.map((rule) => ({ rule, namespace: policy.namespace ?? set.namespace })),
    );
    this.#network = set.network.flatMap(({ applies, tiers }) => [
      applies,
      ...tiers.flatMap(({ rules }) => rules.map(({ match }) => match)),
    ]);
    this.#providers = [...new Set(policies.flatMap(({ provider }) => provider ?? []))];
  }

  /** One that fits a rule, or misses it by a little. */
  next(): AuthzInput {
    const chosen = this.#pick(this.#rules);
    return chosen === undefined ? this.forRule(EMPTY_RULE, this.#set.namespace) : this.forRule(chosen.rule, chosen.namespace);
  }

  forRule(rule: Rule, namespace: string): AuthzInput {
    const draft = new Draft();
    const source = this.#pick(rule.from);
    const operation = this.#pick(rule.to);
    if (source !== undefined) this.#applySource(draft, source, namespace);
    if (operation !== undefined) this.#applyOperation(draft, operation);
    for (const condition of rule.when) this.#applyCondition(draft, condition, namespace);
    if (rule.strict !== undefined) applyStrictRule(draft, rule.strict, this.#random);
    const chosen = this.#network.length > 0 && this.#random() < NETWORK ? this.#pick(this.#network) : undefined;
    if (chosen !== undefined) sampleExpression(draft, chosen, this.#random);
    if (this.#providers.length > 0) {
      const asked = this.#providers.filter(() => this.#random() < 0.8);
      draft.providers = Object.fromEntries(asked.map((name) => [name, this.#random() < 0.6 ? 'allow' : 'deny']));
    }
    if (this.#set.mtls !== null && this.#random() < PLAINTEXT) draft.tls = false;
    while (this.#random() < MUTATION) this.#mutate(draft);
    return draft.input(this.#random() < RAW_TCP);
  }

  #applySource(draft: Draft, source: Source, namespace: string): void {
    // In no fixed order: fields that speak of one attribute overwrite each other.
    for (const field of this.#rotated(Object.keys(source))) {
      // The keys of a source are its fields.
      const values = source[field as SourceField];
      if (values.length === 0 || (field.startsWith('not') && this.#random() > NEGATIVE)) continue;
      this.#set1(draft, SOURCE_KEYS[field] ?? '', this.#pick(values) ?? '', namespace);
    }
  }

  #applyOperation(draft: Draft, operation: Operation): void {
    for (const field of Object.keys(operation)) {
      // The keys of an operation are its fields.
      const values = operation[field as OperationField];
      if (values.length === 0 || (field.startsWith('not') && this.#random() > NEGATIVE)) continue;
      this.#set1(draft, OPERATION_KEYS[field] ?? '', this.#pick(values) ?? '', '');
    }
  }

  #applyCondition(draft: Draft, condition: Condition, namespace: string): void {
    const isNot = condition.values.length === 0 || this.#random() < NEGATIVE;
    const value = this.#pick(isNot ? condition.notValues : condition.values) ?? this.#pick(condition.values);
    if (value !== undefined && (!isNot || this.#random() < NEGATIVE)) this.#set1(draft, condition.key, value, namespace);
  }

  /** Gives an attribute a value that the pattern asks for. */
  #set1(draft: Draft, key: string, pattern: string, namespace: string): void {
    const domain = this.#pick(this.#set.trustDomains) ?? 'cluster.local';
    switch (key) {
      case 'source.principal':
        draft.principal = `spiffe://${this.#fill(pattern, () => this.#pick(['x', `${domain}/ns/a/sa/b`, '']) ?? '')}`;
        return;
      case 'source.namespace':
        draft.principal = `spiffe://${this.#domain(domain)}/ns/${this.#fill(pattern) || 'n'}/sa/${this.#pick(NAMES) ?? 'a'}`;
        return;
      case 'source.serviceAccount': {
        const [left = '', right = ''] = pattern.includes('/') ? pattern.split('/') : [namespace, pattern];
        draft.principal = `spiffe://${this.#domain(domain)}/ns/${left}/sa/${right}`;
        return;
      }
      case 'source.trustDomain':
        draft.principal = `spiffe://${this.#fill(pattern)}/ns/a/sa/b`;
        return;
      case 'source.ip':
        draft.sourceIp = this.#address(pattern);
        return;
      case 'remote.ip':
        draft.remoteIp = this.#address(pattern);
        return;
      case 'destination.ip':
        draft.destinationIp = this.#address(pattern);
        return;
      case 'destination.port':
        draft.destinationPort = Number(pattern);
        return;
      case 'connection.sni':
        draft.sni = this.#fill(pattern);
        return;
      case 'request.auth.principal': {
        const text = this.#fill(pattern);
        const slash = text.lastIndexOf('/');
        draft.token().issuer = slash < 0 ? text : text.slice(0, slash);
        draft.token().subject = slash < 0 ? (this.#pick(['', 'x']) ?? '') : text.slice(slash + 1);
        return;
      }
      case 'request.auth.audiences':
        draft.token().audiences = this.#list(this.#fill(pattern));
        return;
      case 'request.auth.presenter':
        draft.token().presenter = this.#fill(pattern);
        return;
      case 'hosts':
        draft.authority = this.#fill(pattern).toLowerCase();
        return;
      case 'methods':
        draft.method = this.#fill(pattern) || 'GET';
        return;
      case 'paths':
        draft.path = this.#path(pattern);
        return;
      default:
        this.#setNamed(draft, key, pattern);
    }
  }

  #setNamed(draft: Draft, key: string, pattern: string): void {
    if (key.startsWith('request.headers[')) {
      const name = key.slice('request.headers['.length, -1).toLowerCase();
      if (name === ':method') draft.method = this.#fill(pattern);
      else if (name === 'host' || name === ':authority') draft.authority = this.#fill(pattern).toLowerCase();
      else draft.headers.set(name, this.#list(binary(this.#fill(pattern))));
    } else if (key.startsWith('request.auth.claims[')) {
      const path = key.slice('request.auth.claims['.length, -1).split('][');
      const text = this.#fill(pattern);
      draft.setClaim(path, this.#random() < 0.5 ? text : this.#list(text));
    }
  }

  /** A value for a pattern with "*" at an end. */
  #fill(pattern: string, word: () => string = () => this.#pick(WORDS) ?? ''): string {
    return pattern.replaceAll('*', () => word());
  }

  #path(pattern: string): string {
    const one = (): string => this.#pick(SEGMENTS) ?? 'a';
    const text = pattern
      .replaceAll('{**}', () => this.#pick(RESTS) ?? 'a')
      .replaceAll('{*}', one)
      .replaceAll('*', () => this.#pick(WORDS) ?? '');
    return binary(text);
  }

  #list(text: string): string[] {
    const roll = this.#random();
    if (roll < 0.6) return [text];
    const other = this.#pick(['other', 'a', 'b', 'x.y']) ?? '';
    return roll < 0.8 ? [other, text] : [text, other, ''];
  }

  #address(pattern: string): string {
    const block = parseCidr(pattern);
    if (block === null) return '10.0.0.1';
    const bytes = Uint8Array.from(block.address);
    for (let bit = block.prefixLength - (this.#random() < EDGE ? 1 : 0); bit < bytes.length * 8; bit++) {
      if (bit >= 0 && this.#random() < 0.5) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
    }
    if (bytes.length === 4) return bytes.join('.');
    return Array.from({ length: 8 }, (_, index) =>
      (((bytes[2 * index] ?? 0) << 8) | (bytes[2 * index + 1] ?? 0)).toString(16),
    ).join(':');
  }

  #domain(own: string): string {
    return this.#random() < FOREIGN ? 'foreign.test' : own;
  }

  /** Changes one attribute, so that a rule that fitted may fit no more. */
  #mutate(draft: Draft): void {
    const change = this.#pick<(draft: Draft) => void>([
      (it) => {
        it.principal = null;
      },
      (it) => {
        it.principal = this.#odd(it.principal);
      },
      (it) => {
        it.sourceIp = this.#pick(ADDRESSES) ?? '';
      },
      (it) => {
        it.remoteIp = this.#pick(ADDRESSES) ?? '';
      },
      (it) => {
        it.destinationPort = this.#pick([1, 80, 8080, 65_535]) ?? 1;
      },
      (it) => {
        it.sni = this.#pick([null, 'EXACT.com', 'a.b']) ?? null;
      },
      (it) => {
        it.method = this.#pick(['GET', 'POST', 'DELETE', 'HEAD']) ?? 'GET';
      },
      (it) => {
        it.authority = this.#oddText(it.authority);
      },
      (it) => {
        it.path = this.#oddText(it.path);
      },
      (it) => {
        it.query = this.#pick(QUERIES.map((query) => (it.query === '' ? query : `${it.query}&${query}`))) ?? '';
      },
      (it) => {
        for (const name of it.headers.keys()) it.headers.set(name, this.#pick([[], [''], ['other'], ['x', 'y']]) ?? []);
      },
      (it) => {
        it.tokens.length = 0;
      },
      (it) => {
        it.addToken();
      },
      (it) => {
        it.token().subject = '';
      },
    ]);
    change?.(draft);
  }

  #odd(principal: string | null): string {
    const text = principal ?? 'spiffe://cluster.local/ns/a/sa/b';
    return (
      this.#pick([
        `${text}/x`,
        `${text}x`,
        text.replace('/ns/', '/x/ns/'),
        text.replace('/sa/', '/x/sa/'),
        'spiffe://cluster.local',
        text.slice(0, -1),
        `${text}/ns/a/sa/b`,
      ]) ?? text
    );
  }

  #oddText(text: string): string {
    return (
      this.#pick([
        `${text}/`,
        `/${text}`,
        `${text}x`,
        text.slice(0, -1),
        text.toUpperCase(),
        `${text}=`,
        `x${text}`,
        text.replace('/', '//'),
      ]) ?? text
    );
  }

  #rotated(items: readonly string[]): readonly string[] {
    const start = Math.floor(this.#random() * items.length);
    return [...items.slice(start), ...items.slice(0, start)];
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.#random() * items.length)];
  }
}

function binary(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

const SOURCE_KEYS: Readonly<Record<string, string>> = {
  principals: 'source.principal',
  notPrincipals: 'source.principal',
  requestPrincipals: 'request.auth.principal',
  notRequestPrincipals: 'request.auth.principal',
  namespaces: 'source.namespace',
  notNamespaces: 'source.namespace',
  serviceAccounts: 'source.serviceAccount',
  notServiceAccounts: 'source.serviceAccount',
  trustDomains: 'source.trustDomain',
  notTrustDomains: 'source.trustDomain',
  ipBlocks: 'source.ip',
  notIpBlocks: 'source.ip',
  remoteIpBlocks: 'remote.ip',
  notRemoteIpBlocks: 'remote.ip',
};

const OPERATION_KEYS: Readonly<Record<string, string>> = {
  hosts: 'hosts',
  notHosts: 'hosts',
  ports: 'destination.port',
  notPorts: 'destination.port',
  methods: 'methods',
  notMethods: 'methods',
  paths: 'paths',
  notPaths: 'paths',
};

const EMPTY_RULE: Rule = { name: '', from: [], to: [], when: [], position: { file: '', line: 0, column: 0 } };
const NAMES = ['default', 'web', 'x'];
const WORDS = ['', 'x', 'a-b', 'a/b'];
const SEGMENTS = ['a', '17', 'a.b', 'a=b', '', 'a%2Fb', 'x*', 'é', 'a;b', 'a|b'];
const QUERIES = ['', 'a', 'a=1', 'a=%', '%61=x', 'ab=+', 'b+c=%zz', 'b%20c=true', '%C3%A9=a', 'x==&&', '%41=%1', '=17'];
const RESTS = ['', 'a', 'a/b', 'a//b', 'a/', 'a/b=c', 'é/x'];
const ADDRESSES = ['10.0.0.1', '127.0.0.1', '::1', '2001:db8::1', '', '::ffff:10.0.0.1'];

// Chances: that an excluded value is chosen, that a request is changed once more, raw TCP, the bit before a block, another domain.
const NEGATIVE = 0.15;
const MUTATION = 0.3;
const RAW_TCP = 0.12;
const EDGE = 0.2;
const FOREIGN = 0.1;
const NETWORK = 0.5;
const PLAINTEXT = 0.3;
