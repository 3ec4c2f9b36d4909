/** Requests for rules of our own kinds: each comparison gives a value that fits it, or nearly. */
import { parseCidr } from '#base/cidr.ts';

import { pushNegationsIn } from '../policy/expression.ts';
import type { Attribute, Comparison, Expression, Literal, NegationNormal } from '../policy/expression.ts';
import type { StrictRule } from '../policy/model.ts';
import { namedPattern, parametersPattern, segmentsPattern } from '../plan/parameter-patterns.ts';
import { asBytePattern } from '../plan/patterns.ts';
import type { BytePattern } from '../plan/regex/byte-pattern.ts';
import { parseRegex } from '../plan/regex/parse.ts';
import type { Draft } from './sample-draft.ts';

type Random = () => number;

/** Makes a draft fit one way in which the rule can hold; now and then against a literal. */
export function applyStrictRule(draft: Draft, { from, to, when }: StrictRule, random: Random): void {
  const source = pick(from, random);
  const operation = pick(to, random);
  for (const expression of [
    ...(source === undefined ? [] : [source]),
    ...(operation === undefined ? [] : [operation]),
    ...when,
  ]) {
    sampleExpression(draft, expression, random);
  }
}

export function sampleExpression(draft: Draft, expression: Expression, random: Random): void {
  apply(draft, pushNegationsIn(expression), random);
}

function apply(draft: Draft, normal: NegationNormal, random: Random): void {
  if (normal.kind === 'literal') {
    applyLiteral(draft, normal.literal, random);
    return;
  }
  if (normal.kind === 'all') {
    for (const inner of normal.of) apply(draft, inner, random);
    return;
  }
  const chosen = pick(normal.of, random);
  if (chosen !== undefined) apply(draft, chosen, random);
}

function applyLiteral(draft: Draft, { atom, isNegated }: Literal, random: Random): void {
  if (atom.kind === 'present') {
    if (isNegated !== random() < CONTRARY) clearAttribute(draft, atom.attribute);
    else setAttribute(draft, atom.attribute, [pick(ODD, random) ?? 'x']);
    return;
  }
  if (isNegated && random() < 0.6) {
    if (random() < 0.3) clearAttribute(draft, atom.attribute);
    return;
  }
  const fitting = pick(atom.comparisons, random);
  const values = [fitting === undefined ? 'x' : valueFor(fitting, random)];
  if (random() < 0.25) values.push(pick(ODD, random) ?? '');
  if (random() < 0.1) values.unshift(valueFor(pick(atom.comparisons, random) ?? { form: 'any' }, random));
  setAttribute(draft, atom.attribute, values);
}

/** A value that fits, but for a few that are spoiled. */
function valueFor(comparison: Comparison, random: Random): string {
  const value = fitting(comparison, random);
  return comparison.form !== 'cidr' && comparison.form !== 'range' && random() < CONTRARY
    ? value + (pick(ODD, random) ?? '')
    : value;
}

function fitting(comparison: Comparison, random: Random): string {
  switch (comparison.form) {
    case 'any':
      return pick(ODD, random) ?? '';
    case 'exact':
      return comparison.text;
    case 'prefix':
      return comparison.text + (pick(ODD, random) ?? '');
    case 'suffix':
      return (pick(ODD, random) ?? '') + comparison.text;
    case 'template':
      return comparison.text
        .replaceAll('{**}', () => pick(['', 'a', 'a/b', 'a|b'], random) ?? '')
        .replaceAll('{*}', () => pick(['a', 'a=b', '', 'x|'], random) ?? '');
    case 'cidr':
      return addressIn(comparison.text, random);
    case 'range':
      return String(numberNear(comparison.low, comparison.high, random));
    case 'regex':
      return textFor(parseRegex(comparison.text), random);
    case 'segments':
      return textFor(asBytePattern(segmentsPattern(comparison.text, comparison.facets)), random);
    case 'parameters':
      return textFor(asBytePattern(parametersPattern(comparison.facets)), random);
    case 'named':
      return textFor(asBytePattern(namedPattern(comparison.name)), random);
  }
}

/** Within the range, at its ends, beside them, or where the upper of two bytes changes. */
function numberNear(low: number, high: number, random: Random): number {
  const within = low + Math.floor(random() * (high - low + 1));
  return pick([within, low, high, low - 1, high + 1, within & ~0xff, within | 0xff], random) ?? low;
}

function setAttribute(draft: Draft, attribute: Attribute, values: readonly string[]): void {
  const [first = ''] = values;
  switch (attribute.kind) {
    case 'principal':
      draft.principal = `spiffe://${first}`;
      return;
    case 'trustDomain':
      draft.principal = `spiffe://${first}/ns/a/sa/b`;
      return;
    case 'namespace':
      draft.principal = `spiffe://cluster.local/ns/${first}/sa/b`;
      return;
    case 'serviceAccount':
      draft.principal = `spiffe://cluster.local/ns/${first.replace('/', '/sa/')}`;
      return;
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
      draft[attribute.kind] = first;
      return;
    case 'destinationPort':
      draft.destinationPort = Math.min(65_535, Math.max(1, Number(first) || 1));
      return;
    case 'sni':
      draft.sni = first;
      return;
    case 'tls':
      draft.tls = first === 'true';
      return;
    case 'protocol':
      draft.protocol = first === 'http2' || first === 'grpc' ? first : 'http';
      return;
    case 'tag':
      draft.tags.push(...values.map((value) => `${attribute.name}=${value}`));
      return;
    case 'method':
      draft.method = binary(first) || 'GET';
      return;
    case 'host':
      draft.authority = binary(first);
      return;
    case 'path':
      draft.path = binary(first);
      return;
    case 'query':
      draft.query = binary(first);
      return;
    case 'header':
      draft.headers.set(attribute.name, values.map(binary));
      return;
    case 'issuer':
      draft.token().issuer = first;
      return;
    case 'subject':
      draft.token().subject = first;
      return;
    case 'audiences':
      draft.token().audiences = values;
      return;
    case 'presenter':
      draft.token().presenter = first;
      return;
    case 'claim':
      draft.setClaim(attribute.path, values.length === 1 ? first : values);
  }
}

function clearAttribute(draft: Draft, { kind, ...rest }: Attribute): void {
  switch (kind) {
    case 'principal':
    case 'trustDomain':
    case 'namespace':
    case 'serviceAccount':
      draft.principal = null;
      return;
    case 'sni':
      draft.sni = null;
      return;
    case 'tag':
      draft.tags.length = 0;
      return;
    case 'header':
      if ('name' in rest) draft.headers.delete(rest.name);
      return;
    case 'issuer':
    case 'subject':
    case 'audiences':
    case 'presenter':
    case 'claim':
      draft.tokens.length = 0;
      return;
    default:
    // The others are always there.
  }
}

function addressIn(text: string, random: Random): string {
  const block = parseCidr(text);
  if (block === null) return '10.0.0.1';
  const bytes = Uint8Array.from(block.address);
  for (let bit = block.prefixLength - (random() < 0.2 ? 1 : 0); bit < bytes.length * 8; bit++) {
    if (bit >= 0 && random() < 0.5) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
  }
  if (bytes.length === 4) return bytes.join('.');
  return Array.from({ length: 8 }, (_, index) =>
    (((bytes[2 * index] ?? 0) << 8) | (bytes[2 * index + 1] ?? 0)).toString(16),
  ).join(':');
}

/** A text that a pattern matches, but for its assertions, which are not looked at. */
function textFor(whole: BytePattern, random: Random): string {
  const bytes: number[] = [];
  const walk = (pattern: BytePattern): void => {
    if (bytes.length > MAX_TEXT) return;
    switch (pattern.kind) {
      case 'bytes': {
        const range = pick(pattern.ranges, random);
        if (range !== undefined) bytes.push(range.low + Math.floor(random() * (range.high - range.low + 1)));
        return;
      }
      case 'sequence':
        for (const part of pattern.of) walk(part);
        return;
      case 'choice': {
        const chosen = pick(pattern.of, random);
        if (chosen !== undefined) walk(chosen);
        return;
      }
      case 'repeat': {
        const most = pattern.most ?? pattern.least + 3;
        const count = pattern.least + Math.floor(random() * (Math.min(most, pattern.least + 3) - pattern.least + 1));
        for (let index = 0; index < count; index++) walk(pattern.of);
        return;
      }
      case 'assertion':
    }
  };
  walk(whole);
  return Buffer.from(bytes).toString('utf8');
}

function pick<T>(items: readonly T[], random: Random): T | undefined {
  return items[Math.floor(random() * items.length)];
}

function binary(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

const ODD = ['', 'x', 'a', 'a/b', 'é', 'b-1', '\u{1f600}'];
const CONTRARY = 0.12;
const MAX_TEXT = 2000;
