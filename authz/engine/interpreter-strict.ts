/**
 * How the interpreter reads expressions of our own kinds: an attribute's values are written out as bytes and compared one by one.
 * What is absent satisfies no comparison, and in a rule that allows no negated one either.
 */
import { RE2JS } from 're2js';

import type { Attribute, Comparison, Expression, Match } from '../policy/expression.ts';
import type { Action, StrictRule } from '../policy/model.ts';
import type { WorkloadPolicies } from '../policy/workload-policies.ts';
import type { AuthzInput, Token } from './input.ts';
import type { PartResult } from './interpreter-istio.ts';
import { fitsParameters, fitsSegments, hasParameter } from './interpreter-parameters.ts';
import { bytes, claimTexts, inBlock, matchesPath, ownIdentity } from './interpreter-text.ts';

export class StrictJudge {
  readonly #set: WorkloadPolicies;
  readonly #input: AuthzInput;
  readonly #token: Token | null;
  readonly #lets: boolean;

  /** @param lets  whether a match lets somebody in */
  constructor(set: WorkloadPolicies, input: AuthzInput, token: Token | null, lets: boolean) {
    this.#set = set;
    this.#input = input;
    this.#token = token;
    this.#lets = lets;
  }

  matches({ from, to, when }: StrictRule): boolean {
    return (
      (from.length === 0 || from.some((source) => this.holds(source))) &&
      (to.length === 0 || to.some((operation) => this.holds(operation))) &&
      when.every((condition) => this.holds(condition))
    );
  }

  /** Each comparison of a rule under its alternative, as `explain` shows them. */
  parts({ from, to, when }: StrictRule): readonly PartResult[] {
    const told = (part: PartResult['part'], expressions: readonly Expression[]): readonly PartResult[] =>
      expressions.flatMap((expression, index) =>
        conjuncts(expression).map((inner) => ({ part, index, field: nameOf(inner), holds: this.holds(inner) })),
      );
    return [...told('from', from), ...told('to', to), ...told('when', when)];
  }

  /** @param wanted  false asks whether the negation holds */
  holds(expression: Expression, wanted = true): boolean {
    switch (expression.kind) {
      case 'not':
        return this.holds(expression.of, !wanted);
      case 'all':
        return wanted
          ? expression.of.every((inner) => this.holds(inner))
          : expression.of.some((inner) => this.holds(inner, false));
      case 'any':
        return wanted
          ? expression.of.some((inner) => this.holds(inner))
          : expression.of.every((inner) => this.holds(inner, false));
      case 'present':
        return this.#values(expression.attribute).length > 0 === wanted;
      case 'match':
        return this.#match(expression, wanted);
      case 'operations':
        // Nobody resolved it: what is not known lets nobody in.
        return !this.#lets;
    }
  }

  #match({ attribute, comparisons, values: quantifier }: Match, wanted: boolean): boolean {
    const values = this.#values(attribute);
    if (values.length === 0) return !wanted && !this.#lets;
    const fits = (value: string): boolean => comparisons.some((comparison) => compares(comparison, value));
    const isMatch = quantifier === 'all' ? values.every((value) => fits(value)) : values.some((value) => fits(value));
    return isMatch === wanted;
  }

  /** All values as bytes, one character each; none when the attribute is absent. */
  #values(attribute: Attribute): readonly string[] {
    const { connection } = this.#input;
    switch (attribute.kind) {
      case 'sourceIp':
        return one(connection.sourceIp);
      case 'remoteIp':
        return one(connection.remoteIp);
      case 'destinationIp':
        return one(connection.destinationIp);
      case 'destinationPort':
        return [String(connection.destinationPort)];
      case 'sni':
        return connection.sni === null ? [] : [bytes(connection.sni.toLowerCase())];
      case 'tls':
        return [String(connection.tls)];
      case 'protocol':
        return [connection.protocol];
      case 'tag':
        return (connection.tags ?? [])
          .filter((tag) => tag.startsWith(`${attribute.name}=`))
          .map((tag) => bytes(tag.slice(attribute.name.length + 1)));
      case 'principal':
      case 'trustDomain':
      case 'namespace':
      case 'serviceAccount':
        return this.#identity(attribute.kind);
      default:
        return this.#requestValues(attribute);
    }
  }

  #identity(kind: 'principal' | 'trustDomain' | 'namespace' | 'serviceAccount'): readonly string[] {
    const { principal } = this.#input.connection;
    if (principal === null || !principal.startsWith('spiffe://')) return [];
    const name = principal.slice('spiffe://'.length);
    if (kind === 'principal') return [bytes(name)];
    if (kind === 'trustDomain') return name.includes('/') ? [bytes(name.slice(0, name.indexOf('/')))] : [];
    const own = ownIdentity(principal, this.#set.trustDomains);
    if (own === null) return [];
    return [bytes(kind === 'namespace' ? own.namespace : `${own.namespace}/${own.account}`)];
  }

  #requestValues(attribute: Attribute): readonly string[] {
    const { request } = this.#input;
    if (request === null) return [];
    switch (attribute.kind) {
      case 'method':
        return [request.method];
      case 'host':
        return [request.authority];
      case 'path':
        return [request.path];
      case 'query':
        return [request.query ?? ''];
      case 'header':
        return request.fields.values(attribute.name);
      default:
        return this.#token === null ? [] : this.#tokenValues(attribute, this.#token);
    }
  }

  #tokenValues(attribute: Attribute, token: Token): readonly string[] {
    switch (attribute.kind) {
      case 'issuer':
        return one(bytes(token.issuer));
      case 'subject':
        return one(bytes(token.subject));
      case 'audiences':
        return claimTexts(token, ['aud'], this.#set.spaceDelimitedClaims).map(bytes);
      case 'presenter':
        return claimTexts(token, ['azp'], this.#set.spaceDelimitedClaims).map(bytes);
      case 'claim':
        return claimTexts(token, attribute.path, this.#set.spaceDelimitedClaims).map(bytes);
      default:
        return [];
    }
  }
}

/** Whether a match of a rule lets somebody in. */
export function letsIn(action: Action): boolean {
  return action === 'ALLOW';
}

function one(text: string): readonly string[] {
  return text === '' ? [] : [text];
}

function compares(comparison: Comparison, value: string): boolean {
  switch (comparison.form) {
    case 'any':
      return true;
    case 'exact':
      return value === bytes(comparison.text);
    case 'prefix':
      return value.startsWith(bytes(comparison.text));
    case 'suffix':
      return value.endsWith(bytes(comparison.text));
    case 'template':
      return matchesPath(comparison.text, value);
    case 'cidr':
      return inBlock(comparison.text, value);
    case 'range':
      return /^[0-9]{1,5}$/.test(value) && Number(value) >= comparison.low && Number(value) <= comparison.high;
    case 'regex':
      return matchesRegex(comparison.text, value);
    case 'segments':
      return fitsSegments(comparison.text, comparison.facets, value);
    case 'parameters':
      return fitsParameters(comparison.facets, value);
    case 'named':
      return hasParameter(comparison.name, value);
  }
}

/** Over the whole value; bytes that are no UTF-8 match nothing. */
function matchesRegex(pattern: string, value: string): boolean {
  let text: string;
  try {
    text = UTF8.decode(Buffer.from(value, 'latin1'));
  } catch {
    return false;
  }
  return RE2JS.compile(pattern).matches(text);
}

function conjuncts(expression: Expression): readonly Expression[] {
  return expression.kind === 'all' ? expression.of.flatMap(conjuncts) : [expression];
}

/** The key that an expression asks for, with its `not`. */
function nameOf(expression: Expression): string {
  switch (expression.kind) {
    case 'not':
      return `not ${nameOf(expression.of)}`;
    case 'all':
    case 'any':
      return [...new Set(expression.of.map(nameOf))].join(' or ');
    case 'operations':
      return 'operations';
    default:
      return attributeName(expression.attribute);
  }
}

function attributeName(attribute: Attribute): string {
  if (attribute.kind === 'header') return `request.headers[${attribute.name}]`;
  if (attribute.kind === 'claim') return `request.auth.claims[${attribute.path.join('][')}]`;
  if (attribute.kind === 'tag') return `tags[${attribute.name}]`;
  return NAMES[attribute.kind];
}

const NAMES: Readonly<Record<Exclude<Attribute['kind'], 'header' | 'claim' | 'tag'>, string>> = {
  principal: 'principals',
  trustDomain: 'trustDomains',
  namespace: 'namespaces',
  serviceAccount: 'serviceAccounts',
  sourceIp: 'ipBlocks',
  remoteIp: 'remoteIpBlocks',
  destinationIp: 'destination.ip',
  destinationPort: 'ports',
  sni: 'connection.sni',
  tls: 'connection.tls',
  protocol: 'connection.protocol',
  method: 'methods',
  host: 'hosts',
  path: 'paths',
  query: 'parameters',
  issuer: 'requestPrincipals',
  subject: 'requestPrincipals',
  audiences: 'request.auth.audiences',
  presenter: 'request.auth.presenter',
};
/** U+FEFF at the start is a character like others. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
