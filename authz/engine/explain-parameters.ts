/**
 * Which parameters of a request break what its operation asks for, in words: for a rule that denies by them. Values are not told, they
 * may be secrets.
 */
import type { Comparison, Expression } from '../policy/expression.ts';
import type { Policy, Rule } from '../policy/model.ts';
import type { ValueFacet } from '../policy/parameters.ts';
import type { WorkloadPolicies } from '../policy/workload-policies.ts';
import type { AuthzInput } from './input.ts';
import { ruleMatches } from './interpreter.ts';

/** Empty for a rule that is about something else. */
export function brokenParametersText(set: WorkloadPolicies, policy: Policy, rule: Rule, input: AuthzInput): readonly string[] {
  const found = new Set<string>();
  for (const alternative of rule.strict?.to ?? []) {
    if (alternative.kind !== 'all') continue;
    const [operation, broken] = alternative.of;
    if (operation === undefined || broken?.kind !== 'any') continue;
    for (const one of broken.of) {
      const text = brokenText(one);
      if (text === null || rule.strict === undefined) continue;
      const only: Rule = { ...rule, strict: { ...rule.strict, to: [{ kind: 'all', of: [operation, one] }] } };
      if (ruleMatches(set, policy, only, input)) found.add(text);
    }
  }
  return [...found];
}

function brokenText(expression: Expression): string | null {
  if (expression.kind !== 'not' || expression.of.kind !== 'match') return null;
  const [comparison] = expression.of.comparisons;
  return comparison === undefined ? null : wantedText(comparison);
}

function wantedText(comparison: Comparison): string | null {
  switch (comparison.form) {
    case 'parameters':
      return comparison.facets.map(({ facet, name }) => `parameter "${name}" is ${facetText(facet)}`).join(' and ');
    case 'named':
      return `parameter "${comparison.name}" is missing`;
    case 'segments':
      return comparison.facets
        .flatMap((facet, index) => (facet === null ? [] : [`{*} ${index + 1} of ${comparison.text} is ${facetText(facet)}`]))
        .join(' or ');
    default:
      return null;
  }
}

function facetText(facet: ValueFacet): string {
  switch (facet.kind) {
    case 'type':
      return `no ${facet.type}`;
    case 'values':
      return `none of ${facet.values.join(', ')}`;
    case 'pattern':
      return `not like ${facet.text}`;
    case 'length':
      return `not ${facet.least} to ${facet.most ?? 'any number of'} characters long`;
  }
}
