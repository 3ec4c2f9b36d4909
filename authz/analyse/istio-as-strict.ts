/**
 * A rule of Istio's kind as a rule of strict logic that matches at least as much: fields and conditions that have no likeness there
 * are left out. Enough to see that it plainly lies within something.
 */
import type { Attribute, Comparison, Expression } from '../policy/expression.ts';
import type { Operation, Rule, Source, StrictRule } from '../policy/model.ts';

/** @param namespace  of service accounts that are written without one */
export function looseStrictRule(rule: Rule, namespace: string): StrictRule {
  return {
    from: rule.from.map((source) => sourceExpression(source, namespace)),
    to: rule.to.map(operationExpression),
    when: rule.when.flatMap(({ key, values }) => {
      const attribute = KEYS[key];
      return attribute === undefined ? [] : match(attribute, values);
    }),
  };
}

function sourceExpression(source: Source, namespace: string): Expression {
  const accounts = source.serviceAccounts.map((account) => (account.includes('/') ? account : `${namespace}/${account}`));
  return {
    kind: 'all',
    of: [
      ...match({ kind: 'namespace' }, source.namespaces),
      ...match({ kind: 'serviceAccount' }, accounts),
      ...match({ kind: 'trustDomain' }, source.trustDomains),
      ...match({ kind: 'sourceIp' }, source.ipBlocks),
      ...match({ kind: 'remoteIp' }, source.remoteIpBlocks),
    ],
  };
}

function operationExpression({ hosts, methods, paths, ports }: Operation): Expression {
  return {
    kind: 'all',
    of: [
      ...match({ kind: 'method' }, methods),
      ...match({ kind: 'path' }, paths),
      ...match({ kind: 'host' }, hosts),
      ...match({ kind: 'destinationPort' }, ports),
    ],
  };
}

/** Nothing where a value has no likeness: then the field is left out. */
function match(attribute: Attribute, values: readonly string[]): readonly Expression[] {
  const comparisons = values.map((value) => comparisonOf(attribute, value)).filter((comparison) => comparison !== null);
  if (values.length === 0 || comparisons.length < values.length) return [];
  return [{ kind: 'match', attribute, values: 'any', comparisons }];
}

function comparisonOf({ kind }: Attribute, value: string): Comparison | null {
  if (kind === 'sourceIp' || kind === 'remoteIp' || kind === 'destinationIp') return { form: 'cidr', text: value };
  if (kind === 'destinationPort') return { form: 'range', low: Number(value), high: Number(value) };
  if (kind === 'path' && (value.includes('{*}') || value.includes('{**}'))) return { form: 'template', text: value };
  const text = kind === 'host' ? value.toLowerCase() : value;
  // Hosts lose the dot of the root at some places only.
  if (kind === 'host' && /\.(?:$|:)/.test(text)) return null;
  if (text === '*') return { form: 'any' };
  if (text.slice(1, -1).includes('*') || (text.startsWith('*') && text.endsWith('*'))) return null;
  if (text.startsWith('*')) return { form: 'suffix', text: text.slice(1) };
  return text.endsWith('*') ? { form: 'prefix', text: text.slice(0, -1) } : { form: 'exact', text };
}

const KEYS: Readonly<Record<string, Attribute>> = {
  'source.ip': { kind: 'sourceIp' },
  'remote.ip': { kind: 'remoteIp' },
  'destination.ip': { kind: 'destinationIp' },
  'destination.port': { kind: 'destinationPort' },
  'source.namespace': { kind: 'namespace' },
  'request.headers[:method]': { kind: 'method' },
};
