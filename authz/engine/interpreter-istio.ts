/**
 * How the interpreter reads rules of Istio's AuthorizationPolicy: field by field, value by value. An absent attribute makes a
 * positive match false and a `not` true. What ALLOW is not is judged as DENY is: matching more is its safe side.
 */
import type { Condition, Operation, Policy, Rule, Source } from '../policy/model.ts';
import type { WorkloadPolicies } from '../policy/workload-policies.ts';
import type { AuthzInput, Token } from './input.ts';
import {
  SOME,
  bytes,
  claimTexts,
  filled,
  globMatches,
  inBlock,
  matchesPath,
  ownIdentity,
  present,
  withoutRootDot,
} from './interpreter-text.ts';

/** A part of a rule and whether it holds. */
export interface PartResult {
  readonly part: 'from' | 'to' | 'when';
  readonly index: number;
  /** Field or key, with its `not`. */
  readonly field: string;
  readonly holds: boolean;
}

/** True or false, or that the field means nothing here (HTTP on raw TCP, another proxy's metadata). */
type Verdict = boolean | 'unknowable';

interface Field {
  readonly name: string;
  readonly verdict: Verdict;
}

export class IstioRuleJudge {
  readonly #set: WorkloadPolicies;
  readonly #policy: Policy;
  readonly #input: AuthzInput;
  readonly #token: Token | null;

  constructor(set: WorkloadPolicies, policy: Policy, input: AuthzInput, token: Token | null) {
    this.#set = set;
    this.#policy = policy;
    this.#input = input;
    this.#token = token;
  }

  matches(rule: Rule): boolean {
    if (this.#policy.action === 'ALLOW' && this.#isUnknowable(rule)) return false;
    return (
      (rule.to.length === 0 || rule.to.some((operation) => this.#holds(operation))) &&
      (rule.from.length === 0 || rule.from.some((source) => every(this.#source(source)))) &&
      rule.when.every((condition) => every(this.#condition(condition)))
    );
  }

  /** Whether anything in the rule, needed or not, means nothing here. */
  #isUnknowable(rule: Rule): boolean {
    const isOne = ({ verdict }: Field): boolean => verdict === 'unknowable';
    if (rule.when.some((condition) => this.#condition(condition).some(isOne))) return true;
    // A request has all that sources and operations ask for.
    if (this.#input.request !== null) return false;
    return (
      rule.to.some((operation) => this.#operation(operation).some(isOne)) ||
      rule.from.some((source) => this.#source(source).some(isOne))
    );
  }

  parts(rule: Rule): readonly PartResult[] {
    const isAllow = this.#policy.action === 'ALLOW';
    const told = (part: PartResult['part'], index: number, fields: readonly Field[]): readonly PartResult[] =>
      fields.map(({ name, verdict }) => ({ part, index, field: name, holds: verdict === 'unknowable' ? !isAllow : verdict }));
    return [
      ...rule.from.flatMap((source, index) => told('from', index, this.#source(source))),
      ...rule.to.flatMap((operation, index) => told('to', index, this.#operation(operation))),
      ...rule.when.flatMap((condition, index) => told('when', index, this.#condition(condition))),
    ];
  }

  #source(source: Source): readonly Field[] {
    const { connection } = this.#input;
    return [
      ...field('principals', source.principals, source.notPrincipals, (value) => this.#principal(value)),
      ...field('requestPrincipals', source.requestPrincipals, source.notRequestPrincipals, (value) =>
        this.#requestPrincipal(value),
      ),
      ...field('namespaces', source.namespaces, source.notNamespaces, (value, isNot) => this.#namespace(value, isNot)),
      ...field('serviceAccounts', source.serviceAccounts, source.notServiceAccounts, (value, isNot) =>
        this.#account(value, isNot),
      ),
      ...field('trustDomains', source.trustDomains, source.notTrustDomains, (value) => this.#trustDomain(value)),
      ...field('ipBlocks', source.ipBlocks, source.notIpBlocks, (value) => inBlock(value, connection.sourceIp)),
      ...field('remoteIpBlocks', source.remoteIpBlocks, source.notRemoteIpBlocks, (value) => inBlock(value, connection.remoteIp)),
    ];
  }

  #operation(operation: Operation): readonly Field[] {
    return [...this.#hosts(operation), ...this.#ports(operation), ...this.#methods(operation), ...this.#paths(operation)];
  }

  /** All of it; what is compared fastest and fails most often comes first. */
  #holds(operation: Operation): boolean {
    return (
      every(this.#methods(operation)) &&
      every(this.#ports(operation)) &&
      every(this.#hosts(operation)) &&
      every(this.#paths(operation))
    );
  }

  #hosts({ hosts, notHosts }: Operation): readonly Field[] {
    return field('hosts', hosts, notHosts, (value) => this.#host(value));
  }

  #ports({ ports, notPorts }: Operation): readonly Field[] {
    return field('ports', ports, notPorts, (value) => Number(value) === this.#input.connection.destinationPort);
  }

  #methods({ methods, notMethods }: Operation): readonly Field[] {
    return field('methods', methods, notMethods, (value) => this.#http(({ method }) => present(value, method)));
  }

  #paths({ paths, notPaths }: Operation): readonly Field[] {
    return field('paths', paths, notPaths, (value) => this.#http(({ path }) => matchesPath(value, path)));
  }

  #condition({ key, values, notValues }: Condition): readonly Field[] {
    return field(key, values, notValues, (value, isNot) => this.#attribute(key, value, isNot));
  }

  #attribute(key: string, value: string, isNot: boolean): Verdict {
    const { connection } = this.#input;
    if (key === 'source.ip') return inBlock(value, connection.sourceIp);
    if (key === 'remote.ip') return inBlock(value, connection.remoteIp);
    if (key === 'destination.ip') return inBlock(value, connection.destinationIp);
    if (key === 'destination.port') return Number(value) === connection.destinationPort;
    if (key === 'connection.sni') return connection.sni !== null && filled(value, bytes(connection.sni.toLowerCase()));
    if (key === 'source.principal') return this.#principal(value);
    if (key === 'source.namespace') return this.#namespace(value, isNot);
    if (key === 'source.serviceAccount') return this.#account(value, isNot);
    if (key === 'source.trustDomain') return this.#trustDomain(value);
    if (key === 'request.auth.principal') return this.#requestPrincipal(value);
    if (key === 'request.auth.audiences') return this.#claim(['aud'], value);
    if (key === 'request.auth.presenter') return this.#claim(['azp'], value);
    if (key.startsWith('request.auth.claims['))
      return this.#claim(key.slice('request.auth.claims['.length, -1).split(']['), value);
    if (key.startsWith('request.headers[')) return this.#header(key.slice('request.headers['.length, -1).toLowerCase(), value);
    return 'unknowable';
  }

  #http(judge: (request: NonNullable<AuthzInput['request']>) => boolean): Verdict {
    return this.#input.request === null ? 'unknowable' : judge(this.#input.request);
  }

  #host(value: string): Verdict {
    return this.#http(({ authority }) => present(withoutRootDot(value.toLowerCase()), authority));
  }

  #header(name: string, value: string): Verdict {
    if (name === ':method') return this.#http(({ method }) => present(value, method));
    if (name === 'host' || name === ':authority') return this.#host(value);
    return this.#http(({ fields }) => fields.values(name).some((text) => present(value, text)));
  }

  #principal(value: string): boolean {
    const { principal } = this.#input.connection;
    if (principal === null || !principal.startsWith('spiffe://')) return false;
    const name = principal.slice('spiffe://'.length);
    return this.#readings(value).some((reading) => present(reading, bytes(name)));
  }

  /** A principal TD/ns/NS/sa/SA of an own or aliased trust domain stands for the same name in all of them. */
  #readings(value: string): readonly string[] {
    const domains = this.#set.trustDomains;
    const match = /^([^/]*)(\/[^/]*\/[^/]*\/[^/]*\/[^/]*)$/.exec(value);
    const domain = match?.[1];
    const path = match?.[2];
    if (domain === undefined || path === undefined || domain === '' || domain === '*') return [value];
    const isOurs = domain === 'cluster.local' || domains.some((own) => present(domain, own));
    if (!isOurs) return [value];
    return domains.map((own) => (domain.startsWith('*') && present(domain, own) ? value : own + path));
  }

  #namespace(value: string, isNot: boolean): boolean {
    const { principal } = this.#input.connection;
    if (principal === null) return false;
    if (this.#isStrict(isNot)) {
      const own = ownIdentity(principal, this.#set.trustDomains);
      return own !== null && globMatches(value, own.namespace);
    }
    // As Istio: anywhere, .*/ns/VALUE/.*
    return principal.startsWith('spiffe://') && globMatches(`*/ns/${value}/*`, principal.slice('spiffe://'.length));
  }

  #account(value: string, isNot: boolean): boolean {
    const { principal } = this.#input.connection;
    if (principal === null) return false;
    const [namespace = '', account = ''] = value.includes('/')
      ? value.split('/')
      : [this.#policy.namespace ?? this.#set.namespace, value];
    if (this.#isStrict(isNot)) {
      const own = ownIdentity(principal, this.#set.trustDomains);
      return own !== null && own.namespace === namespace && own.account === account;
    }
    // As Istio: spiffe://.+/ns/NS/(.+/|)sa/SA(/.+)?
    const start = `spiffe://${SOME}/ns/${namespace}`;
    return [`${start}/sa/${account}`, `${start}/${SOME}/sa/${account}`].some(
      (glob) => globMatches(glob, principal) || globMatches(`${glob}/${SOME}`, principal),
    );
  }

  /** Where a match allows, only /ns/NS/sa/SA of an own trust domain counts; where it denies, whatever Istio would take for one. */
  #isStrict(isNot: boolean): boolean {
    return this.#policy.action === 'ALLOW' ? !isNot : isNot;
  }

  #trustDomain(value: string): boolean {
    const match = /^spiffe:\/\/([^/]*)\//.exec(this.#input.connection.principal ?? '');
    return match?.[1] !== undefined && present(value, match[1]);
  }

  #requestPrincipal(value: string): Verdict {
    return this.#http(() => {
      if (this.#token === null) return false;
      const issuer = bytes(this.#token.issuer);
      const subject = bytes(this.#token.subject);
      const slash = value.lastIndexOf('/');
      if (value === '*') return issuer !== '' && subject !== '';
      if (slash < 0) {
        if (value.startsWith('*')) return issuer !== '' && present(value, subject);
        if (value.endsWith('*')) return present(value, issuer) && subject !== '';
        return present(value, issuer) && subject === '';
      }
      const wantedIssuer = value.slice(0, slash);
      const wantedSubject = value.slice(slash + 1);
      // A "*" counts at one end of the whole value only.
      if (value.startsWith('*')) return filled(wantedIssuer, issuer) && subject === bytes(wantedSubject);
      if (value.endsWith('*')) return issuer === bytes(wantedIssuer) && filled(wantedSubject, subject);
      return issuer === bytes(wantedIssuer) && subject === bytes(wantedSubject);
    });
  }

  #claim(path: readonly string[], value: string): Verdict {
    return this.#http(
      () =>
        this.#token !== null &&
        claimTexts(this.#token, path, this.#set.spaceDelimitedClaims).some((text) => filled(value, bytes(text))),
    );
  }
}

function every(fields: readonly Field[]): boolean {
  return fields.every(({ verdict }) => verdict !== false);
}

/** A field and its `not`; each is there only when it has values. */
function field(
  name: string,
  values: readonly string[],
  notValues: readonly string[],
  judge: (value: string, isNot: boolean) => Verdict,
): readonly Field[] {
  if (values.length === 0 && notValues.length === 0) return NO_FIELDS;
  const fields: Field[] = [];
  if (values.length > 0) fields.push({ name, verdict: anyOf(values, (value) => judge(value, false)) });
  if (notValues.length > 0) {
    const any = anyOf(notValues, (value) => judge(value, true));
    fields.push({ name: `not ${name}`, verdict: any === 'unknowable' ? any : !any });
  }
  return fields;
}

function anyOf(values: readonly string[], judge: (value: string) => Verdict): Verdict {
  let isUnknowable = false;
  for (const value of values) {
    const verdict = judge(value);
    if (verdict === true) return true;
    if (verdict === 'unknowable') isUnknowable = true;
  }
  return isUnknowable ? 'unknowable' : false;
}

const NO_FIELDS: readonly Field[] = [];
