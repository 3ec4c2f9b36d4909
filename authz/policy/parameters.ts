/**
 * What an API asks of the values in a request's path and query. A value is percent-decoded before it is compared; in a query `+` is a
 * blank. Where an escape is none, nothing fits. Plain data.
 */

/** What one value must be, in one respect. */
export type ValueFacet =
  /** Decimal notation; `true` or `false`; 8-4-4-4-12 hexadecimal digits. */
  | { readonly kind: 'type'; readonly type: ValueType }
  | { readonly kind: 'values'; readonly values: readonly string[] }
  /** RE2 syntax, found anywhere in the value. A value that is no UTF-8 fits none. */
  | { readonly kind: 'pattern'; readonly text: string }
  /** Characters: bytes that begin one in UTF-8. `most` null: without end. */
  | { readonly kind: 'length'; readonly least: number; readonly most: number | null };

export type ValueType = (typeof VALUE_TYPES)[number];

/** What an operation asks of one parameter; values that stand in a request several times must all fit. */
export interface ParameterCheck {
  readonly in: 'path' | 'query';
  readonly name: string;
  /** Which `{*}` of the path it is, from 1; 0 for a parameter of the query. */
  readonly wildcard: number;
  /** Of the query: it must be there. */
  readonly isRequired: boolean;
  /** All of them must hold. */
  readonly facets: readonly ValueFacet[];
}

/** One facet of a named parameter of a query. */
export interface NamedFacet {
  readonly name: string;
  readonly facet: ValueFacet;
}

export const VALUE_TYPES = ['integer', 'number', 'boolean', 'uuid'] as const;
/** In RE2 syntax, over the whole value. */
export const TYPE_PATTERNS: Readonly<Record<ValueType, string>> = {
  integer: '-?[0-9]+',
  number: '-?[0-9]+(?:\\.[0-9]+)?(?:[eE][+-]?[0-9]+)?',
  boolean: 'true|false',
  uuid: '[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}',
};
/** Bounds of what automata are made from. */
export const MAX_VALUE_LENGTH = 512;
export const MAX_PARAMETER_NAME = 128;
export const MAX_PARAMETERS = 64;
