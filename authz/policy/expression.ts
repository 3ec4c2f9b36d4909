/**
 * Conditions of our own kinds, and of what is translated into them: attributes compared with patterns, joined by AND, OR and NOT,
 * in three-valued logic. A comparison with an attribute that is absent is neither true nor false but unknown, and so is its
 * negation; `present` is never unknown. What is unknown never lets anybody in: a rule that allows must be true, a rule that
 * denies, audits or asks must be false to be passed over, where
 *
 * - a comparison that is not negated counts as false when its attribute is absent, in every rule;
 * - a negated one counts as false in a rule that allows, and as true in any other.
 *
 * With every NOT moved inwards to the comparisons that is all there is to it: a negated comparison asks for presence in ALLOW only.
 * Plain data.
 */

import type { NamedFacet, ValueFacet } from './parameters.ts';

/** An attribute as rules name it. Values of texts are compared as the UTF-8 bytes of what is written here. */
export type Attribute =
  /** One value each. `principal` is a SPIFFE ID without `spiffe://`. `trustDomain` is its first part. */
  | { readonly kind: 'principal' | 'trustDomain' }
  /** `NS` and `NS/SA` of an own identity `spiffe://TD/ns/NS/sa/SA`, TD being the own trust domain or an alias; else absent. */
  | { readonly kind: 'namespace' | 'serviceAccount' }
  /** Patterns on addresses are blocks. */
  | { readonly kind: 'sourceIp' | 'remoteIp' | 'destinationIp' }
  /** Decimal, patterns are ranges. */
  | { readonly kind: 'destinationPort' }
  /** In lower case. */
  | { readonly kind: 'sni' }
  /** `true` or `false`; `http`, `http2`, `grpc` or `tcp`. Both are always there. */
  | { readonly kind: 'tls' | 'protocol' }
  /** Values of the tag `name` of the caller: what follows `name=`. */
  | { readonly kind: 'tag'; readonly name: string }
  /** Of a request; absent on raw TCP. `host` as compared: lower case, with its port, one trailing dot dropped. */
  | { readonly kind: 'method' | 'host' | 'path' }
  /** What follows `?`, as it was sent; empty without one. There in every request. */
  | { readonly kind: 'query' }
  /** All values of a header field, its name in lower case. */
  | { readonly kind: 'header'; readonly name: string }
  /** Of the token that is being judged. */
  | { readonly kind: 'issuer' | 'subject' | 'audiences' | 'presenter' }
  | { readonly kind: 'claim'; readonly path: readonly string[] };

export type Comparison =
  /** There, whatever it is. */
  | { readonly form: 'any' }
  | { readonly form: 'exact' | 'prefix' | 'suffix'; readonly text: string }
  /** A path with `{*}` and `{**}` as whole segments, as in an AuthorizationPolicy. */
  | { readonly form: 'template'; readonly text: string }
  /** An address or a block. */
  | { readonly form: 'cidr'; readonly text: string }
  /** Numbers from `low` to `high`, both included. */
  | { readonly form: 'range'; readonly low: number; readonly high: number }
  /** RE2 syntax, over the whole value. A value that is no UTF-8 matches none. */
  | { readonly form: 'regex'; readonly text: string }
  /** A path that fits the template with values that fit the facets of its `{*}`, in order; null for any. */
  | { readonly form: 'segments'; readonly text: string; readonly facets: readonly (ValueFacet | null)[] }
  /** A query in which every value of the parameters fits. */
  | { readonly form: 'parameters'; readonly facets: readonly NamedFacet[] }
  /** A query in which the parameter is. */
  | { readonly form: 'named'; readonly name: string };

export type Expression =
  /** An empty `all` is true, an empty `any` false. */
  | { readonly kind: 'all' | 'any'; readonly of: readonly Expression[] }
  | { readonly kind: 'not'; readonly of: Expression }
  | { readonly kind: 'present'; readonly attribute: Attribute }
  | Match
  /** Operations of an API by their ids, or `tag:NAME`; `select.ts` puts methods and paths in their place, no engine meets one. */
  | { readonly kind: 'operations'; readonly api: string; readonly ids: readonly string[] };

/** Any value of the attribute (`any`), or each of them and at least one (`all`), fits one of the comparisons. */
export interface Match {
  readonly kind: 'match';
  readonly attribute: Attribute;
  readonly values: 'any' | 'all';
  readonly comparisons: readonly Comparison[];
}

/** A match or a presence, perhaps negated. */
export interface Literal {
  readonly isNegated: boolean;
  readonly atom: Match | { readonly kind: 'present'; readonly attribute: Attribute };
}

/** An expression with every NOT at a literal. */
export type NegationNormal =
  | { readonly kind: 'all' | 'any'; readonly of: readonly NegationNormal[] }
  | { readonly kind: 'literal'; readonly literal: Literal };

/** @throws {Error} for an operation that `select.ts` left: a fault of the caller */
export function pushNegationsIn(expression: Expression, isNegated = false): NegationNormal {
  switch (expression.kind) {
    case 'not':
      return pushNegationsIn(expression.of, !isNegated);
    case 'all':
    case 'any': {
      const kind = isNegated ? (expression.kind === 'all' ? 'any' : 'all') : expression.kind;
      return { kind, of: expression.of.map((inner) => pushNegationsIn(inner, isNegated)) };
    }
    case 'operations':
      throw new Error('operations are resolved before anything is compiled');
    default:
      return { kind: 'literal', literal: { isNegated, atom: expression } };
  }
}

/** Whether an attribute can have several values at once. */
export function isListed({ kind }: Attribute): boolean {
  return kind === 'tag' || kind === 'header' || kind === 'audiences' || kind === 'claim';
}

export const TRUE: Expression = Object.freeze({ kind: 'all', of: [] });
export const FALSE: Expression = Object.freeze({ kind: 'any', of: [] });
