/**
 * Rules of Istio's AuthorizationPolicy as conjunctions of groups: one for each pair of a source and an operation. An absent attribute
 * makes a group false and a negated group true, whatever the action (Istio, Envoy). What ALLOW is not is read as DENY is: there
 * matching more is the safe side.
 */
import { parseCidr } from '#base/cidr.ts';
import { PosternError } from '#base/error.ts';
import type { Action, Condition, Operation, Policy, Rule, Source } from '../policy/model.ts';
import { bracketed, claimPath } from '../policy/values.ts';
import type { WorkloadPolicies } from '../policy/workload-policies.ts';

import { MAX_CLAUSES, tooManyClauses } from './clauses.ts';
import type { Conjunction, Group, Program } from './clauses.ts';
import type { SlotSource } from './compiled.ts';
import {
  cidrPatterns,
  hostPattern,
  namespacePattern,
  pathPattern,
  portPattern,
  requestPrincipalPattern,
  stringPattern,
  toBinary,
} from './patterns.ts';
import type { Pattern } from './patterns.ts';
import { expandPrincipal } from './trust-domains.ts';

type NamedGroup = Group | 'unsupported' | null;

/** The groups of a rule, as requests have them. */
interface RuleParts {
  /** What the reading depends on besides the rule. */
  readonly context: string;
  readonly from: readonly (readonly NamedGroup[])[];
  readonly to: readonly (readonly NamedGroup[])[];
  readonly when: readonly NamedGroup[];
  /** What was made of them. */
  readonly made: Partial<Record<Program, readonly Conjunction[]>>;
}

/** Reads the rules of one policy. A rule is read once for both programs, and once for ever while it is the same object. */
export class IstioRuleReader {
  readonly #set: WorkloadPolicies;
  readonly #action: Action;
  readonly #namespace: string;
  readonly #program: Program;
  readonly #context: string;

  constructor(set: WorkloadPolicies, policy: Policy, program: Program) {
    this.#set = set;
    this.#action = policy.action;
    this.#namespace = policy.namespace ?? set.namespace;
    this.#program = program;
    this.#context = `${policy.action} ${this.#namespace} ${set.trustDomains.join()}`;
  }

  /** None when an ALLOW rule needs what cannot be known here; any other rule then drops the condition and matches more. */
  conjunctions(rule: Rule): readonly Conjunction[] {
    const parts = this.#parts(rule);
    const made = parts.made[this.#program] ?? this.#make(parts);
    parts.made[this.#program] = made;
    return made;
  }

  #make({ from, to, when }: RuleParts): readonly Conjunction[] {
    if (from.length * to.length > MAX_CLAUSES) throw tooManyClauses();
    if (
      this.#action === 'ALLOW' &&
      (this.#lacks(when) || from.some((groups) => this.#lacks(groups)) || to.some((groups) => this.#lacks(groups)))
    ) {
      return [];
    }
    const known = (groups: readonly NamedGroup[]): Conjunction => groups.filter((group) => this.#isKnown(group));
    const conditions = known(when);
    const operations = to.map(known);
    return from.flatMap((source) => {
      const sources = known(source);
      return operations.map((operation) => [...sources, ...operation, ...conditions]);
    });
  }

  #lacks(groups: readonly NamedGroup[]): boolean {
    for (const group of groups) if (group !== null && !this.#isKnown(group)) return true;
    return false;
  }

  #isKnown(group: NamedGroup): group is Group {
    return group !== null && group !== 'unsupported' && !(this.#program === 'tcp' && HTTP_KINDS.has(group.slot.kind));
  }

  #parts(rule: Rule): RuleParts {
    const known = KNOWN.get(rule);
    if (known?.context === this.#context) return known;
    const parts: RuleParts = {
      context: this.#context,
      from: rule.from.length === 0 ? [[]] : rule.from.map((source) => this.#source(source).filter(isThere)),
      to: rule.to.length === 0 ? [[]] : rule.to.map((operation) => this.#operation(operation).filter(isThere)),
      when: rule.when.flatMap((condition) => this.#condition(condition)).filter(isThere),
      made: {},
    };
    KNOWN.set(rule, parts);
    return parts;
  }

  #source(source: Source): NamedGroup[] {
    return [
      this.#principals(source.principals, false),
      this.#principals(source.notPrincipals, true),
      this.#requestPrincipals(source.requestPrincipals, false),
      this.#requestPrincipals(source.notRequestPrincipals, true),
      this.#namespaces(source.namespaces, false),
      this.#namespaces(source.notNamespaces, true),
      this.#accounts(source.serviceAccounts, false),
      this.#accounts(source.notServiceAccounts, true),
      this.#trustDomains(source.trustDomains, false),
      this.#trustDomains(source.notTrustDomains, true),
      ips({ kind: 'sourceIp' }, source.ipBlocks, false),
      ips({ kind: 'sourceIp' }, source.notIpBlocks, true),
      ips({ kind: 'remoteIp' }, source.remoteIpBlocks, false),
      ips({ kind: 'remoteIp' }, source.notRemoteIpBlocks, true),
    ];
  }

  #operation(operation: Operation): NamedGroup[] {
    return [
      group({ kind: 'authority' }, operation.hosts, false, hostPattern),
      group({ kind: 'authority' }, operation.notHosts, true, hostPattern),
      group({ kind: 'destinationPort' }, operation.ports, false, portPattern),
      group({ kind: 'destinationPort' }, operation.notPorts, true, portPattern),
      group({ kind: 'method' }, operation.methods, false, presentString),
      group({ kind: 'method' }, operation.notMethods, true, presentString),
      group({ kind: 'path' }, operation.paths, false, pathPattern),
      group({ kind: 'path' }, operation.notPaths, true, pathPattern),
    ];
  }

  #condition(condition: Condition): NamedGroup[] {
    return [this.#attribute(condition.key, condition.values, false), this.#attribute(condition.key, condition.notValues, true)];
  }

  #attribute(key: string, values: readonly string[], isNegated: boolean): NamedGroup {
    switch (key) {
      case 'source.ip':
        return ips({ kind: 'sourceIp' }, values, isNegated);
      case 'remote.ip':
        return ips({ kind: 'remoteIp' }, values, isNegated);
      case 'source.namespace':
        return this.#namespaces(values, isNegated);
      case 'source.principal':
        return this.#principals(values, isNegated);
      case 'source.serviceAccount':
        return this.#accounts(values, isNegated);
      case 'source.trustDomain':
        return this.#trustDomains(values, isNegated);
      case 'request.auth.principal':
        return this.#requestPrincipals(values, isNegated);
      case 'request.auth.audiences':
        return group({ kind: 'audiences' }, values, isNegated, filledString);
      case 'request.auth.presenter':
        return group({ kind: 'presenter' }, values, isNegated, filledString);
      case 'destination.ip':
        return ips({ kind: 'destinationIp' }, values, isNegated);
      case 'destination.port':
        return group({ kind: 'destinationPort' }, values, isNegated, portPattern);
      case 'connection.sni':
        return group({ kind: 'sni' }, values, isNegated, filledString);
      default:
        return this.#bracketed(key, values, isNegated);
    }
  }

  #bracketed(key: string, values: readonly string[], isNegated: boolean): NamedGroup {
    if (values.length === 0) return null;
    const header = bracketed(key, 'request.headers')?.toLowerCase();
    if (header === ':method') return group({ kind: 'method' }, values, isNegated, presentString);
    if (header === ':authority' || header === 'host') return group({ kind: 'authority' }, values, isNegated, hostPattern);
    if (header !== undefined) return group({ kind: 'header', name: header }, values, isNegated, presentString);
    const path = key.startsWith('request.auth.claims[') ? claimPath(key) : null;
    if (path !== null) return group({ kind: 'claim', path }, values, isNegated, filledString);
    // Metadata of another proxy's filters, or a key that the reader should have refused.
    return 'unsupported';
  }

  #principals(values: readonly string[], isNegated: boolean): NamedGroup {
    const expanded = values.flatMap((value) => expandPrincipal(value, this.#set.trustDomains));
    return group({ kind: 'principal' }, expanded, isNegated, presentString);
  }

  #requestPrincipals(values: readonly string[], isNegated: boolean): NamedGroup {
    return group({ kind: 'requestPrincipal' }, values, isNegated, requestPrincipalPattern);
  }

  #namespaces(values: readonly string[], isNegated: boolean): NamedGroup {
    return group({ kind: this.#isWide(isNegated) ? 'anyNamespace' : 'namespace' }, values, isNegated, namespacePattern);
  }

  #accounts(values: readonly string[], isNegated: boolean): NamedGroup {
    const full = values.map((value) => (value.includes('/') ? value : `${this.#namespace}/${value}`));
    return group({ kind: this.#isWide(isNegated) ? 'anyAccount' : 'account' }, full, isNegated, exactString);
  }

  #trustDomains(values: readonly string[], isNegated: boolean): NamedGroup {
    return group({ kind: 'trustDomain' }, values, isNegated, presentString);
  }

  /**
   * Identities of the form /ns/NS/sa/SA are read strictly where a match allows, and as widely as Istio does where it denies, so
   * that no reading lets anybody in whom Istio keeps out.
   */
  #isWide(isNegated: boolean): boolean {
    return (this.#action !== 'ALLOW') !== isNegated;
  }
}

function group(slot: SlotSource, values: readonly string[], isNegated: boolean, read: (value: string) => Pattern): Group | null {
  return values.length === 0 ? null : { slot, patterns: values.map(read), isNegated, isExhaustive: false };
}

function ips(slot: SlotSource, values: readonly string[], isNegated: boolean): Group | null {
  if (values.length === 0) return null;
  const patterns = values.flatMap((value) => {
    const block = parseCidr(value);
    if (block === null) throw new PosternError('policy_value', `Cannot compile "${value}": found no IP address or CIDR block`);
    return cidrPatterns(block);
  });
  return { slot, patterns, isNegated, isExhaustive: false };
}

function presentString(value: string): Pattern {
  return stringPattern(value, 'present');
}

function filledString(value: string): Pattern {
  return stringPattern(value, 'filled');
}

function exactString(value: string): Pattern {
  return { form: 'exact', text: toBinary(value) };
}

function isThere(group: NamedGroup): boolean {
  return group !== null;
}

/** Attributes of requests: a connection that carries none cannot have them. */
const HTTP_KINDS: ReadonlySet<SlotSource['kind']> = new Set([
  'method',
  'authority',
  'path',
  'header',
  'requestPrincipal',
  'audiences',
  'presenter',
  'claim',
]);
/** Rules that were read before. INVARIANT: rules never change. */
const KNOWN = new WeakMap<Rule, RuleParts>();
