/** Sets that show what random ones seldom hit: ends of port ranges, values of which each must match, rules on what is absent. */
import type { AuthzInput } from '#authz/engine/input.ts';
import { policiesOf } from '#authz/plan/compile.ts';
import type { Comparison, Expression } from '#authz/policy/expression.ts';
import type { Rule } from '#authz/policy/model.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';

import { COMPILE_OPTIONS, WORKLOAD, policy } from './realistic.ts';
import { verdictInput } from './verdicts.cases.ts';

export interface StrictCase {
  readonly about: string;
  readonly set: WorkloadPolicies;
  readonly inputs: readonly AuthzInput[];
}

export function strictCases(): readonly StrictCase[] {
  const ports = [1, 255, 256, 257, 511, 512, 513, 1000, 5000, 5001, 5002, 65_535];
  return [
    { about: 'port ranges', set: setOf([range(2, 5001)]), inputs: ports.map(onPort) },
    { about: 'a range of whole blocks', set: setOf([range(256, 1023)]), inputs: ports.map(onPort) },
    {
      about: 'values of which each must match',
      set: setOf([each(['a', 'b']), each(['c', 'd']), { kind: 'not', of: each(['a', 'e']) }, each(['f'])], 'DENY'),
      inputs: [
        [],
        ['a'],
        ['b'],
        ['a', 'b'],
        ['c'],
        ['c', 'd'],
        ['c', 'a'],
        ['f'],
        ['f', 'f'],
        ['f', 'a'],
        ['e'],
        ['x'],
        [''],
      ].map(withHeader),
    },
    {
      about: 'values of which each must match, one set of them alone',
      set: setOf([each(['f']), { kind: 'not', of: each(['a', 'b', 'c']) }]),
      inputs: [[], ['a'], ['f'], ['a', 'f'], ['b', 'c'], ['x'], ['f', 'x']].map(withHeader),
    },
    {
      about: 'words of a claim',
      set: setOf([word('b')]),
      inputs: ['a b', 'a', 'b a', ' a  b ', 'ab', 'b', 'a c'].map(withScope),
    },
    { about: 'words of a claim as one', set: setOf([word('a b')]), inputs: ['a b', 'a', 'b a', 'a b c'].map(withScope) },
    ...QUERY_COMPARISONS.map((comparison) => {
      const about = `parameters of a query: ${JSON.stringify(comparison)}`;
      return { about, set: setOf([inQuery(comparison)]), inputs: QUERIES.map(withQuery) };
    }),
    { about: 'a network rule that accepts by what is absent', set: networkSet('accept'), inputs: withTags },
    { about: 'a network rule that denies by what is absent', set: networkSet('deny'), inputs: withTags },
  ];
}

function setOf(expressions: readonly Expression[], action: 'ALLOW' | 'DENY' = 'ALLOW'): WorkloadPolicies {
  const rules = expressions.map((expression): Omit<Rule, 'position' | 'name'> => ({
    from: [],
    to: [],
    when: [],
    strict: { from: [], to: [], when: [expression] },
  }));
  return policiesOf([policy('p', action, rules)], WORKLOAD, COMPILE_OPTIONS);
}

function networkSet(action: 'accept' | 'deny'): WorkloadPolicies {
  const match: Expression = {
    kind: 'not',
    of: { kind: 'match', attribute: { kind: 'tag', name: 'env' }, values: 'any', comparisons: [{ form: 'exact', text: 'prod' }] },
  };
  const rules = [{ policy: 'n', name: '0', action, match, position: { file: '', line: 0, column: 0 } }];
  const tiers = [{ rules, otherwise: { deniedBy: 'n' } }];
  const network = [{ direction: 'ingress', applies: { kind: 'all', of: [] }, tiers } as const];
  return { ...setOf([{ kind: 'all', of: [] }]), network };
}

function range(low: number, high: number): Expression {
  return { kind: 'match', attribute: { kind: 'destinationPort' }, values: 'any', comparisons: [{ form: 'range', low, high }] };
}

function each(texts: readonly string[]): Expression {
  const comparisons = texts.map((text) => ({ form: 'exact', text }) as const);
  return { kind: 'match', attribute: { kind: 'header', name: 'x' }, values: 'all', comparisons };
}

function word(text: string): Expression {
  const attribute = { kind: 'claim', path: ['scope'] } as const;
  return { kind: 'match', attribute, values: 'any', comparisons: [{ form: 'exact', text }] };
}

function withScope(scope: string): AuthzInput {
  const { connection, request } = verdictInput({});
  const token = { issuer: 'i', subject: 's', audiences: [], presenter: null, claims: { scope } };
  return { connection, request: request === null ? null : { ...request, tokens: [token] } };
}

const QUERY_COMPARISONS: readonly Comparison[] = [
  { form: 'parameters', facets: [{ name: 'a', facet: { kind: 'values', values: ['b c', '1'] } }] },
  { form: 'parameters', facets: ['a', 'c'].map((name) => ({ name, facet: { kind: 'type', type: 'boolean' } })) },
  { form: 'parameters', facets: [{ name: 'b', facet: { kind: 'length', least: 0, most: 1 } }] },
  { form: 'parameters', facets: [{ name: 'b', facet: { kind: 'length', least: 2, most: 2 } }] },
  { form: 'parameters', facets: [{ name: 'b', facet: { kind: 'pattern', text: 'ab$|^c' } }] },
  { form: 'named', name: 'a' },
];

const QUERIES = [
  '',
  'a',
  'a=',
  'a=1',
  'a=b+c',
  'a=b%20c',
  'a=b%2bc',
  'a=%62%2bc',
  '%61=1',
  '%6a=1',
  'b=1',
  'c=x',
  'b',
  'b=%C3%A9%c3%a9',
  'b=%C3%A9',
  'b=xab',
  'b=c',
  'z=%z',
].flatMap((query) => [query, `d&${query}`]);

function inQuery(comparison: Comparison): Expression {
  return { kind: 'match', attribute: { kind: 'query' }, values: 'any', comparisons: [comparison] };
}

function withQuery(query: string): AuthzInput {
  const { connection, request } = verdictInput({});
  return { connection, request: request === null ? null : { ...request, query } };
}

function onPort(destinationPort: number): AuthzInput {
  const { connection, request } = verdictInput({});
  return { connection: { ...connection, destinationPort }, request };
}

function withHeader(values: readonly string[]): AuthzInput {
  const { connection, request } = verdictInput({});
  const fields = { values: (name: string): readonly string[] => (name === 'x' ? values : []) };
  return { connection, request: request === null ? null : { ...request, fields } };
}

const withTags: readonly AuthzInput[] = [[], ['env=prod'], ['env=dev'], ['env=dev', 'env=prod'], ['other=1']].map((tags) => {
  const { connection, request } = verdictInput({});
  return { connection: { ...connection, tags }, request };
});
