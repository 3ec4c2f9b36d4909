/**
 * Expressions of our own kinds as conjunctions of groups: every NOT moved inwards, every OR outwards. A negated comparison asks for
 * the attribute's presence where a match lets somebody in, and only there (authz/policy/expression.ts).
 */
import { parseCidr } from '#base/cidr.ts';
import { PosternError } from '#base/error.ts';

import { isListed, pushNegationsIn } from '../policy/expression.ts';
import type { Attribute, Comparison, Expression, Literal, NegationNormal } from '../policy/expression.ts';
import type { StrictRule } from '../policy/model.ts';
import { MAX_CLAUSES, tooManyClauses } from './clauses.ts';
import type { Conjunction, Group, Program } from './clauses.ts';
import type { SlotSource } from './compiled.ts';
import { cidrPatterns, pathPattern, portRangePatterns, regexPattern, toBinary } from './patterns.ts';
import type { Pattern } from './patterns.ts';
import { namedPattern, parametersPattern, segmentsPattern } from './parameter-patterns.ts';

export class StrictReader {
  readonly #program: Program;
  readonly #lets: boolean;

  /** @param lets  whether a match lets somebody in */
  constructor(program: Program, lets: boolean) {
    this.#program = program;
    this.#lets = lets;
  }

  rule({ from, to, when }: StrictRule): readonly Conjunction[] {
    return this.conjunctions({
      kind: 'all',
      of: [
        ...(from.length === 0 ? [] : [{ kind: 'any', of: from } as const]),
        ...(to.length === 0 ? [] : [{ kind: 'any', of: to } as const]),
        ...when,
      ],
    });
  }

  conjunctions(expression: Expression): readonly Conjunction[] {
    return this.#read(pushNegationsIn(expression));
  }

  #read(normal: NegationNormal): readonly Conjunction[] {
    if (normal.kind === 'literal') return this.#literal(normal.literal);
    if (normal.kind === 'any') {
      const all = joinAlternatives(normal.of.flatMap((inner) => this.#read(inner)));
      if (all.length > MAX_CLAUSES) throw tooManyClauses();
      return all;
    }
    let product: readonly Conjunction[] = [[]];
    for (const inner of normal.of) {
      const alternatives = this.#read(inner);
      if (product.length * alternatives.length > MAX_CLAUSES) throw tooManyClauses();
      product = product.flatMap((left) => alternatives.map((right) => [...left, ...right]));
    }
    return product;
  }

  #literal({ atom, isNegated }: Literal): readonly Conjunction[] {
    const { attribute } = atom;
    if (this.#program === 'tcp' && REQUEST_ATTRIBUTES.has(attribute.kind)) {
      const holds = isNegated && (atom.kind === 'present' || !this.#lets);
      return holds ? [[]] : [];
    }
    const slot = slotOf(attribute);
    const presence = (isAbsent: boolean): Group => group(slot, [{ form: 'present' }], isAbsent);
    if (atom.kind === 'present') return [[presence(isNegated)]];
    const patterns = atom.comparisons.flatMap((comparison) => patternsOf(attribute, comparison));
    const isAny = atom.values === 'any' || !isListed(attribute);
    if (isAny) {
      if (!isNegated) return patterns.length === 0 ? [] : [[group(slot, patterns, false)]];
      const isNone = patterns.length === 0 ? [] : [group(slot, patterns, true)];
      return [this.#lets ? [presence(false), ...isNone] : isNone];
    }
    const outside: Group = { slot, patterns, isNegated: false, isExhaustive: true };
    if (!isNegated) return [[presence(false), { ...outside, isNegated: true }]];
    return this.#lets ? [[outside]] : [[outside], [presence(true)]];
  }
}

/** Alternatives that ask for nothing but one attribute are one alternative with all their patterns. */
function joinAlternatives(alternatives: readonly Conjunction[]): readonly Conjunction[] {
  const joined: Conjunction[] = [];
  const bySlot = new Map<string, { at: number; group: Group }>();
  for (const conjunction of alternatives) {
    const [only] = conjunction;
    if (only === undefined) return [[]];
    if (conjunction.length > 1 || only.isNegated || only.isExhaustive) {
      joined.push(conjunction);
      continue;
    }
    const key = JSON.stringify(only.slot);
    const known = bySlot.get(key);
    if (known === undefined) {
      bySlot.set(key, { at: joined.push(conjunction) - 1, group: only });
      continue;
    }
    known.group = group(only.slot, [...known.group.patterns, ...only.patterns], false);
    joined[known.at] = [known.group];
  }
  return joined;
}

function group(slot: SlotSource, patterns: readonly Pattern[], isNegated: boolean): Group {
  return { slot, patterns, isNegated, isExhaustive: false };
}

function slotOf(attribute: Attribute): SlotSource {
  switch (attribute.kind) {
    case 'host':
      return { kind: 'authority' };
    case 'serviceAccount':
      return { kind: 'account' };
    case 'header':
    case 'tag':
      return { kind: attribute.kind, name: attribute.name };
    case 'claim':
      return { kind: 'claim', path: attribute.path };
    default:
      return { kind: attribute.kind };
  }
}

function patternsOf({ kind }: Attribute, comparison: Comparison): readonly Pattern[] {
  const isAddress = kind === 'sourceIp' || kind === 'remoteIp' || kind === 'destinationIp';
  if (comparison.form === 'any') return [{ form: 'present' }];
  if (comparison.form === 'cidr' && isAddress) {
    const block = parseCidr(comparison.text);
    if (block === null) throw misplaced(kind, comparison);
    return cidrPatterns(block);
  }
  if (comparison.form === 'range' && kind === 'destinationPort') return portRangePatterns(comparison.low, comparison.high);
  if (isAddress || kind === 'destinationPort') throw misplaced(kind, comparison);
  switch (comparison.form) {
    case 'exact':
    case 'prefix':
    case 'suffix':
      return [{ form: comparison.form, text: toBinary(comparison.text) }];
    case 'template':
      return [pathPattern(comparison.text)];
    case 'regex':
      return [regexPattern(comparison.text)];
    case 'segments':
      return [segmentsPattern(comparison.text, comparison.facets)];
    case 'parameters':
      return [parametersPattern(comparison.facets)];
    case 'named':
      return [namedPattern(comparison.name)];
    default:
      throw misplaced(kind, comparison);
  }
}

function misplaced(kind: string, { form }: Comparison): PosternError {
  return new PosternError('policy_value', `Cannot compile a comparison of the form "${form}" with the attribute "${kind}"`);
}

const REQUEST_ATTRIBUTES: ReadonlySet<Attribute['kind']> = new Set([
  'method',
  'host',
  'path',
  'query',
  'header',
  'issuer',
  'subject',
  'audiences',
  'presenter',
  'claim',
]);
