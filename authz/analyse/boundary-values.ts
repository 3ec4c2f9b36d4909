/**
 * Values at the edges of what rules ask for: for each comparison some that fit it and some that just do not. Gathered by attribute
 * from any number of rules, of Istio's kinds and of our own, they are where rules differ if they differ at all.
 */
import { parseCidr } from '#base/cidr.ts';

import type { BytePattern } from '../plan/regex/byte-pattern.ts';
import { parseRegex } from '../plan/regex/parse.ts';
import type { Attribute, Comparison, Expression } from '../policy/expression.ts';
import type { ValueFacet } from '../policy/parameters.ts';
import type { Condition, Operation, Policy, Rule, Source } from '../policy/model.ts';
import { bracketed, claimPath } from '../policy/values.ts';

/** An attribute as one text: `path`, `header x-a`, `claim ["a","b"]`, `tag env`. */
export type AttributeKey = string;

export interface AttributeValues {
  readonly attribute: Attribute;
  /** Texts, as documents would write them (no bytes). */
  readonly values: ReadonlySet<string>;
}

/** Values by attribute. Comparisons that a rule negates count like others. */
export function boundaryValues(
  rules: readonly { readonly policy: Policy; readonly rule: Rule }[],
  namespace: string,
): ReadonlyMap<AttributeKey, AttributeValues> {
  const gatherer = new Gatherer();
  for (const { policy, rule } of rules) {
    const home = policy.namespace ?? namespace;
    for (const source of rule.from) gatherer.source(source, home);
    for (const operation of rule.to) gatherer.operation(operation);
    for (const condition of rule.when) gatherer.condition(condition, home);
    if (rule.strict === undefined) continue;
    for (const expression of [...rule.strict.from, ...rule.strict.to, ...rule.strict.when]) gatherer.expression(expression);
  }
  return gatherer.found;
}

export function attributeKey(attribute: Attribute): AttributeKey {
  if (attribute.kind === 'header' || attribute.kind === 'tag') return `${attribute.kind} ${attribute.name}`;
  return attribute.kind === 'claim' ? `claim ${JSON.stringify(attribute.path)}` : attribute.kind;
}

/** Texts that fit a comparison, and texts that nearly do; the fitting ones first. */
export function valuesAround(comparison: Comparison): readonly string[] {
  switch (comparison.form) {
    case 'any':
      return ['x', ''];
    case 'exact':
      return [comparison.text, `${comparison.text}x`, comparison.text.slice(0, -1)];
    case 'prefix':
      return [comparison.text, `${comparison.text}x`, `${comparison.text}x/y`, comparison.text.slice(0, -1)];
    case 'suffix':
      return [comparison.text, `x${comparison.text}`, `/x${comparison.text}`, `${comparison.text}x`];
    case 'template':
      return aroundTemplate(comparison.text);
    case 'cidr':
      return aroundBlock(comparison.text);
    case 'range':
      return [comparison.low, comparison.high, comparison.low - 1, comparison.high + 1].filter(isPort).map(String);
    case 'regex':
      return aroundRegex(comparison.text);
    case 'segments':
      return ['x', ...comparison.facets.flatMap((facet) => (facet === null ? [] : aroundFacet(facet)))].map((value) =>
        comparison.text.replaceAll('{*}', () => value),
      );
    case 'parameters':
      return ['', ...comparison.facets.flatMap(({ facet, name }) => aroundFacet(facet).map((value) => `${name}=${value}`))];
    case 'named':
      return [comparison.name, ''];
  }
}

/** Values of parameters as they stand in a request. */
function aroundFacet(facet: ValueFacet): readonly string[] {
  switch (facet.kind) {
    case 'type':
      return ['17', 'true', '00000000-0000-4000-8000-000000000000', 'x'];
    case 'values':
      return [...facet.values.map(escaped), 'x'];
    case 'pattern':
      return [...aroundRegex(facet.text).map(escaped), 'x', '17'];
    case 'length':
      return [facet.least, facet.least - 1, facet.most ?? facet.least, (facet.most ?? facet.least) + 1].map((length) =>
        'x'.repeat(Math.max(0, length)),
      );
  }
}

function escaped(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

class Gatherer {
  readonly found = new Map<AttributeKey, { attribute: Attribute; values: Set<string> }>();

  expression(expression: Expression): void {
    switch (expression.kind) {
      case 'all':
      case 'any':
        for (const inner of expression.of) this.expression(inner);
        return;
      case 'not':
        this.expression(expression.of);
        return;
      case 'present':
        this.#add(expression.attribute, ['x']);
        return;
      case 'match':
        for (const comparison of expression.comparisons) this.#add(expression.attribute, valuesAround(comparison));
        return;
      case 'operations':
        return;
    }
  }

  source(source: Source, home: string): void {
    const both = (kind: Attribute, values: readonly string[], notValues: readonly string[]): void =>
      this.#texts(kind, [...values, ...notValues]);
    both({ kind: 'principal' }, source.principals, source.notPrincipals);
    both({ kind: 'namespace' }, source.namespaces, source.notNamespaces);
    both({ kind: 'trustDomain' }, source.trustDomains, source.notTrustDomains);
    this.#accounts([...source.serviceAccounts, ...source.notServiceAccounts], home);
    this.#requestPrincipals([...source.requestPrincipals, ...source.notRequestPrincipals]);
    this.#blocks({ kind: 'sourceIp' }, [...source.ipBlocks, ...source.notIpBlocks]);
    this.#blocks({ kind: 'remoteIp' }, [...source.remoteIpBlocks, ...source.notRemoteIpBlocks]);
  }

  operation(operation: Operation): void {
    this.#texts(
      { kind: 'host' },
      [...operation.hosts, ...operation.notHosts].map((host) => host.toLowerCase()),
    );
    this.#texts({ kind: 'method' }, [...operation.methods, ...operation.notMethods]);
    for (const path of [...operation.paths, ...operation.notPaths]) this.#path(path);
    for (const port of [...operation.ports, ...operation.notPorts]) this.#add({ kind: 'destinationPort' }, aroundPort(port));
  }

  condition({ key, notValues, values }: Condition, home: string): void {
    const all = [...values, ...notValues];
    const header = bracketed(key, 'request.headers')?.toLowerCase();
    const path = key.startsWith('request.auth.claims[') ? claimPath(key) : null;
    if (header === ':method') this.#texts({ kind: 'method' }, all);
    else if (header === ':authority' || header === 'host')
      this.#texts(
        { kind: 'host' },
        all.map((host) => host.toLowerCase()),
      );
    else if (header !== undefined) this.#texts({ kind: 'header', name: header }, all);
    else if (path !== null) this.#texts(claimAttribute(path), all);
    else if (key === 'source.ip') this.#blocks({ kind: 'sourceIp' }, all);
    else if (key === 'remote.ip') this.#blocks({ kind: 'remoteIp' }, all);
    else if (key === 'destination.ip') this.#blocks({ kind: 'destinationIp' }, all);
    else if (key === 'destination.port') for (const port of all) this.#add({ kind: 'destinationPort' }, aroundPort(port));
    else if (key === 'connection.sni') this.#texts({ kind: 'sni' }, all);
    else if (key === 'source.principal') this.#texts({ kind: 'principal' }, all);
    else if (key === 'source.namespace') this.#texts({ kind: 'namespace' }, all);
    else if (key === 'source.trustDomain') this.#texts({ kind: 'trustDomain' }, all);
    else if (key === 'source.serviceAccount') this.#accounts(all, home);
    else if (key === 'request.auth.principal') this.#requestPrincipals(all);
    else if (key === 'request.auth.audiences') this.#texts({ kind: 'audiences' }, all);
    else if (key === 'request.auth.presenter') this.#texts({ kind: 'presenter' }, all);
  }

  #add(attribute: Attribute, values: Iterable<string>): void {
    const key = attributeKey(attribute);
    const known = this.found.get(key) ?? { attribute, values: new Set<string>() };
    this.found.set(key, known);
    for (const value of values) if (known.values.size < MAX_VALUES) known.values.add(value);
  }

  /** Values with `*` at an end. */
  #texts(attribute: Attribute, values: readonly string[]): void {
    for (const value of values) this.#add(attribute, valuesAround(comparisonOf(value)));
  }

  #path(value: string): void {
    const isTemplate = value.includes('{*}') || value.includes('{**}');
    this.#add({ kind: 'path' }, valuesAround(isTemplate ? { form: 'template', text: value } : comparisonOf(value)));
  }

  #blocks(attribute: Attribute, values: readonly string[]): void {
    for (const value of values) this.#add(attribute, aroundBlock(value));
  }

  #accounts(values: readonly string[], home: string): void {
    for (const value of values) {
      const full = value.includes('/') ? value : `${home}/${value}`;
      this.#add({ kind: 'serviceAccount' }, [full, `${full}x`]);
    }
  }

  /** `iss/sub`, told apart at the last slash. */
  #requestPrincipals(values: readonly string[]): void {
    for (const value of values) {
      const slash = value.lastIndexOf('/');
      this.#add({ kind: 'issuer' }, valuesAround(comparisonOf(slash < 0 ? value : value.slice(0, slash))));
      this.#add({ kind: 'subject' }, valuesAround(comparisonOf(slash < 0 ? '*' : value.slice(slash + 1))));
    }
  }
}

function claimAttribute(path: readonly string[]): Attribute {
  const [first = ''] = path;
  if (path.length === 1 && first === 'iss') return { kind: 'issuer' };
  if (path.length === 1 && first === 'sub') return { kind: 'subject' };
  return { kind: 'claim', path };
}

function comparisonOf(value: string): Comparison {
  if (value === '*' || value === '') return { form: 'any' };
  if (value.startsWith('*')) return { form: 'suffix', text: value.slice(1).replaceAll('*', 'x') };
  if (value.endsWith('*')) return { form: 'prefix', text: value.slice(0, -1).replaceAll('*', 'x') };
  return { form: 'exact', text: value.replaceAll('*', 'x') };
}

function aroundTemplate(text: string): readonly string[] {
  const fill = (one: string, rest: string): string => text.replaceAll('{**}', rest).replaceAll('{*}', one);
  return [fill('x', 'x'), fill('7', 'x/y'), fill('x', ''), `${fill('x', 'x')}/z`, fill('', 'x')];
}

/** The first and the last address of a block, and those next to it. */
function aroundBlock(text: string): readonly string[] {
  const block = parseCidr(text);
  if (block === null) return [];
  const last = Uint8Array.from(block.address);
  for (let bit = block.prefixLength; bit < last.length * 8; bit++) last[bit >> 3] = (last[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return [block.address, last, moved(block.address, -1), moved(last, 1)].map(addressText);
}

function moved(address: Uint8Array, by: 1 | -1): Uint8Array {
  const next = Uint8Array.from(address);
  for (let index = next.length - 1; index >= 0; index--) {
    const sum = (next[index] ?? 0) + by;
    next[index] = sum & 0xff;
    if (sum >= 0 && sum <= 0xff) break;
  }
  return next;
}

function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  return Array.from({ length: 8 }, (_, index) =>
    (((bytes[2 * index] ?? 0) << 8) | (bytes[2 * index + 1] ?? 0)).toString(16),
  ).join(':');
}

function aroundPort(text: string): readonly string[] {
  return [Number(text), Number(text) + 1, Number(text) - 1].filter(isPort).map(String);
}

function isPort(port: number): boolean {
  return port >= 1 && port <= 65_535;
}

/** A shortest text of the expression, one of a repetition more, and neither. */
function aroundRegex(pattern: string): readonly string[] {
  try {
    const tree = parseRegex(pattern);
    const texts = [exampleOf(tree, 0), exampleOf(tree, 1), exampleOf(tree, 2)].map((bytes) =>
      Buffer.from(bytes, 'latin1').toString('utf8'),
    );
    return [...texts, ...texts.map((text) => `${text}~`)];
  } catch {
    return [];
  }
}

/** @param turn  which of several ways is taken, so that examples differ */
function exampleOf(pattern: BytePattern, turn: number): string {
  switch (pattern.kind) {
    case 'bytes': {
      const range = pattern.ranges[turn % Math.max(1, pattern.ranges.length)];
      return range === undefined ? '' : String.fromCharCode(preferred(range.low, range.high));
    }
    case 'sequence':
      return pattern.of.map((inner) => exampleOf(inner, turn)).join('');
    case 'choice': {
      const choice = pattern.of[turn % Math.max(1, pattern.of.length)];
      return choice === undefined ? '' : exampleOf(choice, turn);
    }
    case 'repeat': {
      const count = Math.min(pattern.least + (turn > 0 ? 1 : 0), pattern.most ?? Infinity, MAX_REPEAT);
      return exampleOf(pattern.of, turn).repeat(count);
    }
    case 'assertion':
      return '';
  }
}

/** A letter where one fits: what is found is shown to people. */
function preferred(low: number, high: number): number {
  for (const code of [0x61, 0x30, 0x41]) if (code >= low && code <= high) return code;
  return low;
}

const MAX_VALUES = 400;
const MAX_REPEAT = 64;
