/**
 * Whether one rule of strict logic plainly lies within another: each alternative of the one within an alternative of the other, by the
 * looks of their comparisons. A yes is sure, a no says nothing; it saves the search for a request that shows the contrary.
 */
import { cidrContains, parseCidr } from '#base/cidr.ts';

import type { Attribute, Comparison, Expression, Match } from '../policy/expression.ts';
import type { StrictRule } from '../policy/model.ts';
import { attributeKey } from './boundary-values.ts';

export function isPlainlyWithin(inner: StrictRule, outer: StrictRule): boolean {
  const given = inner.when.flatMap(conjuncts);
  return (
    outer.when.flatMap(conjuncts).every((wanted) => given.some((held) => implies(held, wanted))) &&
    areWithin(inner.from, outer.from, given) &&
    areWithin(inner.to, outer.to, given)
  );
}

/** @param given  what holds beside each alternative */
function areWithin(inner: readonly Expression[], outer: readonly Expression[], given: readonly Expression[]): boolean {
  if (outer.length === 0) return true;
  const alternatives = inner.length === 0 ? [given] : inner.map((one) => [...conjuncts(one), ...given]);
  return alternatives.every((held) =>
    outer.some((other) => conjuncts(other).every((wanted) => held.some((one) => implies(one, wanted)))),
  );
}

function conjuncts(expression: Expression): readonly Expression[] {
  return expression.kind === 'all' ? expression.of.flatMap(conjuncts) : [expression];
}

/** Both are parts of rules that allow: what is absent satisfies neither. */
function implies(held: Expression, wanted: Expression): boolean {
  if (wanted.kind === 'any') return wanted.of.some((one) => implies(held, one)) || isEqual(held, wanted);
  if (wanted.kind === 'present') {
    const attribute = held.kind === 'not' ? held.of : held;
    return (
      (attribute.kind === 'match' || held.kind === 'present') &&
      'attribute' in attribute &&
      isSame(attribute.attribute, wanted.attribute)
    );
  }
  if (held.kind === 'match' && wanted.kind === 'match') return matchImplies(held, wanted);
  if (held.kind === 'not' && wanted.kind === 'not') {
    // The more is excluded, the less is left.
    return held.of.kind === 'match' && wanted.of.kind === 'match' && held.of.values === wanted.of.values
      ? matchImplies(wanted.of, held.of)
      : isEqual(held, wanted);
  }
  return isEqual(held, wanted);
}

function matchImplies(held: Match, wanted: Match): boolean {
  const { comparisons } = homeOf(held, wanted);
  const isKind = isSame(held.attribute, wanted.attribute) || comparisons !== held.comparisons;
  if (!isKind || held.values !== wanted.values) return false;
  return comparisons.every((one) => wanted.comparisons.some((other) => isCovered(one, other)));
}

/** An account of a namespace says the namespace, too. */
function homeOf(held: Match, wanted: Match): Pick<Match, 'comparisons'> {
  if (held.attribute.kind !== 'serviceAccount' || wanted.attribute.kind !== 'namespace') return held;
  const names = held.comparisons.map((one) => (one.form === 'exact' ? one.text.slice(0, one.text.indexOf('/')) : ''));
  return names.includes('') ? held : { comparisons: names.map((text) => ({ form: 'exact', text })) };
}

function isCovered(one: Comparison, other: Comparison): boolean {
  if (other.form === 'any' || isEqual(one, other)) return true;
  if (one.form === 'range' && other.form === 'range') return one.low >= other.low && one.high <= other.high;
  if (!('text' in one) || !('text' in other)) return false;
  if (one.form === 'cidr' && other.form === 'cidr') return isBlockWithin(one.text, other.text);
  const isText = one.form === 'exact' || one.form === 'prefix' || one.form === 'suffix';
  if (other.form === 'prefix') {
    const isTemplate = one.form === 'template' && one.text.slice(0, one.text.indexOf('{')).startsWith(other.text);
    return (isText && one.form !== 'suffix' && one.text.startsWith(other.text)) || isTemplate;
  }
  return other.form === 'suffix' && isText && one.form !== 'prefix' && one.text.endsWith(other.text);
}

function isBlockWithin(inner: string, outer: string): boolean {
  const [one, other] = [parseCidr(inner), parseCidr(outer)];
  return one !== null && other !== null && one.prefixLength >= other.prefixLength && cidrContains(other, one.address);
}

function isSame(left: Attribute, right: Attribute): boolean {
  return attributeKey(left) === attributeKey(right);
}

function isEqual(left: object, right: object): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}
