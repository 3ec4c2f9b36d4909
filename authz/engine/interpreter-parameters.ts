/** How the interpreter reads the parameters of a path and a query: taken apart, decoded and compared one by one. */
import { RE2JS } from 're2js';

import type { NamedFacet, ValueFacet } from '../policy/parameters.ts';
import { bytes } from './interpreter-text.ts';

/** @param path  as bytes, one character each */
export function fitsSegments(template: string, facets: readonly (ValueFacet | null)[], path: string): boolean {
  return fitFrom(bytes(template).split('/'), path.split('/'), facets);
}

export function fitsParameters(facets: readonly NamedFacet[], query: string): boolean {
  const pieces = piecesOf(query);
  return (
    pieces !== null &&
    pieces.every(({ name, value }) => facets.every((one) => bytes(one.name) !== name || fitsValue(one.facet, value)))
  );
}

export function hasParameter(name: string, query: string): boolean {
  return piecesOf(query)?.some((piece) => piece.name === bytes(name)) ?? false;
}

function fitFrom(template: readonly string[], segments: readonly string[], facets: readonly (ValueFacet | null)[]): boolean {
  const [first, ...rest] = template;
  const [segment, ...others] = segments;
  if (first === undefined || segment === undefined) return first === segment;
  if (first === '{**}') return fitFrom(rest, others, facets) || fitFrom(template, others, facets);
  if (first !== '{*}') return first === segment && fitFrom(rest, others, facets);
  const [facet = null, ...more] = facets;
  const value = facet === null ? segment : decode(segment, false);
  const isFit = facet === null ? segment !== '' : value !== null && fitsValue(facet, value);
  return isFit && fitFrom(rest, others, more);
}

interface Piece {
  readonly name: string;
  readonly value: string;
}

/** Null for a query with an escape that is none. */
function piecesOf(query: string): readonly Piece[] | null {
  const pieces: Piece[] = [];
  for (const text of query.split('&')) {
    const equals = text.indexOf('=');
    const name = decode(equals < 0 ? text : text.slice(0, equals), true);
    const value = decode(equals < 0 ? '' : text.slice(equals + 1), true);
    if (name === null || value === null) return null;
    pieces.push({ name, value });
  }
  return pieces;
}

function decode(text: string, hasPlus: boolean): string | null {
  const blanked = hasPlus ? text.replaceAll('+', ' ') : text;
  if (/%(?![0-9a-fA-F]{2})/.test(blanked)) return null;
  return blanked.replaceAll(/%(..)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

/** @param value  bytes, one character each */
function fitsValue(facet: ValueFacet, value: string): boolean {
  switch (facet.kind) {
    case 'type':
      return TYPES[facet.type].test(value);
    case 'values':
      return facet.values.some((one) => bytes(one) === value);
    case 'length': {
      const length = [...value].filter((byte) => byte < '\x80' || byte > '\xbf').length;
      return length >= facet.least && (facet.most === null || length <= facet.most);
    }
    case 'pattern': {
      try {
        return RE2JS.compile(facet.text)
          .matcher(UTF8.decode(Buffer.from(value, 'latin1')))
          .find();
      } catch {
        return false;
      }
    }
  }
}

const TYPES = {
  integer: /^-?[0-9]+$/,
  number: /^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$/,
  boolean: /^(true|false)$/,
  uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i,
} as const;
/** U+FEFF at the start is a character like others. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
