/** Reads `parameters` of an operation in an APIDefinition, and says as expressions what breaks them. */
import { PosternError } from '#base/error.ts';

import { parseFoundRegex } from '../plan/regex/anchors.ts';
import type { ApiOperation } from './api-definition.ts';
import type { Comparison, Expression } from './expression.ts';
import type { FaultList, FieldReader } from './fields.ts';
import { MAX_PARAMETERS, MAX_PARAMETER_NAME, MAX_VALUE_LENGTH, VALUE_TYPES } from './parameters.ts';
import type { ParameterCheck, ValueFacet } from './parameters.ts';

/** @param path  the operation's, as a template */
export function readParameterChecks(operation: FieldReader, path: string, faults: FaultList): readonly ParameterCheck[] {
  const readers = operation.maps('parameters');
  if (readers.length > MAX_PARAMETERS) {
    const message = `Cannot read the parameters: found more than ${MAX_PARAMETERS}`;
    faults.add('PN0209', operation.where('parameters'), operation.at('parameters'), message);
    return [];
  }
  const seen = new Set<string>();
  return readers.map((reader) => {
    const place = reader.word('in', ['path', 'query']);
    const name = reader.text('name') ?? '';
    const wildcard = place === 'query' ? 0 : (reader.integer('wildcard', 1, wildcardsOf(path)) ?? 0);
    const isRequired = reader.flag('required') ?? false;
    const facets = readFacets(reader, faults);
    reader.finish();
    const wrong =
      place === null
        ? 'Cannot read the parameter: wanted in: path or in: query'
        : place === 'path' && wildcard === 0
          ? 'Cannot read the parameter of the path: wanted wildcard, the number of its {*}'
          : name === '' || name.length > MAX_PARAMETER_NAME
            ? `Cannot read the parameter: wanted a name of at most ${MAX_PARAMETER_NAME} characters`
            : facets.length === 0 && !isRequired
              ? `Cannot read the parameter "${name}": it asks for nothing`
              : null;
    if (wrong !== null) faults.add('PN0204', reader.position, reader.path, wrong);
    const key = place === 'path' ? `path ${wildcard}` : `query ${name}`;
    if (seen.has(key)) faults.add('PN0309', reader.position, reader.path, `Cannot read the parameter "${name}": it stands twice`);
    seen.add(key);
    return { in: place ?? 'query', name, wildcard, isRequired, facets };
  });
}

/** One expression for each way in which a request of the operation breaks what is checked; none where nothing is. */
export function brokenParameters(
  { checks = [], path }: ApiOperation,
  places: readonly ('path' | 'query')[],
): readonly Expression[] {
  const broken: Expression[] = [];
  const add = (kind: 'path' | 'query', comparison: Comparison): void => {
    broken.push({ kind: 'not', of: { kind: 'match', attribute: { kind }, values: 'any', comparisons: [comparison] } });
  };
  const inPath = checks.filter((check) => check.in === 'path' && places.includes('path'));
  const inQuery = checks.filter((check) => check.in === 'query' && places.includes('query'));
  // The facets of one round are one pattern: a pattern says of each value one thing.
  for (const round of roundsOf(inPath)) {
    const facets = Array.from({ length: wildcardsOf(path) }, (_, index) => round.get(index + 1) ?? null);
    add('path', { form: 'segments', text: path, facets });
  }
  // One by one: operations have parameters in common.
  for (const { facets, name } of inQuery)
    for (const facet of facets) add('query', { form: 'parameters', facets: [{ name, facet }] });
  for (const { isRequired, name } of inQuery) if (isRequired) add('query', { form: 'named', name });
  return broken;
}

/** By number of the wildcard: the first facet of each check, the second of each, and so on. */
function roundsOf(checks: readonly Pick<ParameterCheck, 'wildcard' | 'facets'>[]): readonly ReadonlyMap<number, ValueFacet>[] {
  const most = Math.max(0, ...checks.map(({ facets }) => facets.length));
  return Array.from(
    { length: most },
    (_, round) =>
      new Map(
        checks.flatMap(({ facets, wildcard }): [number, ValueFacet][] => {
          const facet = facets[round];
          return facet === undefined ? [] : [[wildcard, facet]];
        }),
      ),
  );
}

function readFacets(reader: FieldReader, faults: FaultList): readonly ValueFacet[] {
  const facets: ValueFacet[] = [];
  const type = reader.word('type', ['string', ...VALUE_TYPES]);
  if (type !== null && type !== 'string') facets.push({ kind: 'type', type });
  const values = reader.texts('enum', () => {}, { takesNumbers: true });
  if (values.length > 0) facets.push({ kind: 'values', values });
  const pattern = reader.text('pattern');
  if (pattern !== null) {
    const wrong = patternFault(pattern);
    if (wrong === null) facets.push({ kind: 'pattern', text: pattern });
    else faults.add('PN0314', reader.where('pattern'), reader.at('pattern'), wrong.message, wrong.hint);
  }
  const least = reader.integer('minLength', 0, MAX_VALUE_LENGTH);
  const most = reader.integer('maxLength', 0, MAX_VALUE_LENGTH);
  if (least !== null && most !== null && least > most) {
    faults.add('PN0204', reader.position, reader.path, 'Cannot read the parameter: minLength is above maxLength');
  } else if (least !== null || most !== null) facets.push({ kind: 'length', least: least ?? 0, most });
  return facets;
}

/** Why a pattern cannot be checked, or null. */
export function patternFault(pattern: string): PosternError | null {
  try {
    parseFoundRegex(pattern);
    return null;
  } catch (error) {
    if (error instanceof PosternError) return error;
    throw error;
  }
}

function wildcardsOf(path: string): number {
  return path.split('/').filter((segment) => segment === '{*}').length;
}
