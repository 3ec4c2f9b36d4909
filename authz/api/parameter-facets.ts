/**
 * What a description asks of parameters, as far as a sidecar can check it: types, `enum`, `pattern` and lengths of single values and of
 * values that stand several times. What cannot be checked is told, and the rest is checked.
 */
import { MAX_PARAMETERS, MAX_PARAMETER_NAME, MAX_VALUE_LENGTH } from '../policy/parameters.ts';
import { patternFault } from '../policy/parameter-checks.ts';
import type { ParameterCheck, ValueFacet } from '../policy/parameters.ts';
import type { ApiParameter } from './description.ts';
import { isMembers, listAt, membersAt, textAt } from './members.ts';
import type { Members } from './members.ts';

/** What a parameter asks of each of its values. */
export interface ParameterFacets {
  readonly facets: readonly ValueFacet[];
  /** Members that are not held to. */
  readonly unchecked: readonly string[];
}

/** @param parameter  as the description has it, 2.0 or 3.x */
export function facetsOf(parameter: Members, isVersion2: boolean): ParameterFacets {
  if (!isVersion2 && !Object.hasOwn(parameter, 'schema')) return { facets: [], unchecked: ['content'] };
  const schema = isVersion2 ? parameter : membersAt(parameter, 'schema');
  const type = textAt(schema, 'type');
  const style = textAt(parameter, 'style');
  if (style !== null && style !== 'form' && style !== 'simple') return { facets: [], unchecked: ['style'] };
  if (type === 'object') return { facets: [], unchecked: ['type: object'] };
  // Such a value may be empty whatever its type asks for.
  if (parameter['allowEmptyValue'] === true) return { facets: [], unchecked: ['allowEmptyValue'] };
  if (type !== 'array') return valueFacets(schema);
  const isRepeated = isVersion2
    ? textAt(parameter, 'collectionFormat') === 'multi'
    : textAt(parameter, 'in') === 'query' && parameter['explode'] !== false;
  if (!isRepeated) return { facets: [], unchecked: ['type: array'] };
  const { facets, unchecked } = valueFacets(membersAt(schema, 'items'));
  return { facets, unchecked: [...unchecked, ...namedIn(schema, ['minItems', 'maxItems', 'uniqueItems'])] };
}

/** @param template  with the names of its parameters: `/orders/{id}` */
export function checksOf(
  parameters: readonly ApiParameter[],
  template: string,
  facetsByName: ReadonlyMap<string, readonly ValueFacet[]>,
): readonly ParameterCheck[] {
  const wildcards = [...template.matchAll(/\{([^{}]+)\}/g)].map(([, name]) => name);
  const checks = parameters.flatMap((parameter): ParameterCheck[] => {
    const { in: place, name, required } = parameter;
    const facets = facetsByName.get(`${place} ${name}`) ?? [];
    const wildcard = place === 'path' ? wildcards.indexOf(name) + 1 : 0;
    const isRequired = place === 'query' && required;
    const isChecked = (facets.length > 0 || isRequired) && (place === 'query' || wildcard > 0);
    if (!isChecked || name === '' || name.length > MAX_PARAMETER_NAME) return [];
    return [{ in: place, name, wildcard, isRequired, facets }];
  });
  return checks.slice(0, MAX_PARAMETERS);
}

/** As members of `parameters` in an APIDefinition. */
export function writtenCheck({ facets, in: place, isRequired, name, wildcard }: ParameterCheck): object {
  const members: Record<string, unknown> = { in: place, name };
  if (place === 'path') members['wildcard'] = wildcard;
  if (isRequired) members['required'] = true;
  for (const facet of facets) {
    if (facet.kind === 'type') members['type'] = facet.type;
    else if (facet.kind === 'values') members['enum'] = facet.values;
    else if (facet.kind === 'pattern') members['pattern'] = facet.text;
    else {
      if (facet.least > 0) members['minLength'] = facet.least;
      if (facet.most !== null) members['maxLength'] = facet.most;
    }
  }
  return members;
}

function valueFacets(schema: Members): ParameterFacets {
  const facets: ValueFacet[] = [];
  const unchecked = [...namedIn(schema, UNCHECKED)];
  const type = textAt(schema, 'type');
  if (type === 'integer' || type === 'number' || type === 'boolean') facets.push({ kind: 'type', type });
  else if (type === 'string' && textAt(schema, 'format') === 'uuid') facets.push({ kind: 'type', type: 'uuid' });
  else if (type !== 'string' && Object.hasOwn(schema, 'type')) unchecked.push('type');
  const listed = listAt(schema, 'enum');
  const values = listed.filter((value) => typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean');
  if (listed.length > 0 && values.length === listed.length && !values.includes('')) {
    facets.push({ kind: 'values', values: values.map(String) });
  } else if (listed.length > 0) unchecked.push('enum');
  const pattern = textAt(schema, 'pattern');
  if (pattern !== null && pattern.length <= MAX_PATTERN && patternFault(pattern) === null) {
    facets.push({ kind: 'pattern', text: pattern });
  } else if (pattern !== null) unchecked.push('pattern');
  const least = lengthAt(schema, 'minLength');
  const most = lengthAt(schema, 'maxLength');
  for (const [name, length] of [['minLength', least] as const, ['maxLength', most] as const]) {
    if (length === null && Object.hasOwn(schema, name)) unchecked.push(name);
  }
  // Lengths are those of texts.
  const isText = type === null || type === 'string';
  if (isText && ((least ?? 0) > 0 || most !== null) && (most === null || (least ?? 0) <= most)) {
    facets.push({ kind: 'length', least: least ?? 0, most });
  }
  return { facets, unchecked };
}

function lengthAt(schema: Members, name: string): number | null {
  const value = schema[name];
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_VALUE_LENGTH ? value : null;
}

function namedIn(schema: Members, names: readonly string[]): readonly string[] {
  return isMembers(schema) ? names.filter((name) => Object.hasOwn(schema, name)) : [];
}

const UNCHECKED = [
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'const',
  'not',
  'oneOf',
  'anyOf',
  'allOf',
];
const MAX_PATTERN = 1_024;
