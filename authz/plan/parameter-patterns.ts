/** What an API asks of parameters, as patterns over the bytes of a path or a query: what they mean, authz/policy/parameters.ts says. */
import { TYPE_PATTERNS } from '../policy/parameters.ts';
import type { NamedFacet, ValueFacet } from '../policy/parameters.ts';
import { toBinary } from './patterns.ts';
import type { Pattern } from './patterns.ts';
import { matchesNothing, parseFoundRegex } from './regex/anchors.ts';
import { literalBytes, oneByte } from './regex/byte-pattern.ts';
import type { BytePattern } from './regex/byte-pattern.ts';
import { parseRegex } from './regex/parse.ts';
import { noneOf, percentEncoded } from './regex/percent-encoded.ts';

/** A path of the template whose `{*}` segments fit their facets, in order; null fits everything. */
export function segmentsPattern(template: string, facets: readonly (ValueFacet | null)[]): Pattern {
  let wildcard = 0;
  const of = toBinary(template)
    .slice(1)
    .split('/')
    .flatMap((segment): readonly BytePattern[] => {
      if (segment === '{**}') return [SLASH, ANY_REST];
      if (segment !== '{*}') return [SLASH, literalBytes(segment)];
      const facet = facets[wildcard++] ?? null;
      return [SLASH, facet === null ? ANY_SEGMENT : percentEncoded(valuePattern(facet), 'segment')];
    });
  return { form: 'bytes', key: `segments ${template} ${JSON.stringify(facets)}`, pattern: { kind: 'sequence', of } };
}

/** A query in which every value of the parameters fits its facet. */
export function parametersPattern(facets: readonly NamedFacet[]): Pattern {
  const named = facets.map(({ facet, name }): BytePattern => {
    const value = valuePattern(facet);
    const given: BytePattern = { kind: 'sequence', of: [EQUALS, percentEncoded(value, 'value')] };
    const rest: BytePattern = { kind: 'choice', of: [given, ...(matchesNothing(value) ? [NOTHING] : [])] };
    return { kind: 'sequence', of: [nameOf(name), rest] };
  });
  const unnamed = noneOf(
    facets.map(({ name }) => toBinary(name)),
    'name',
  );
  const other: BytePattern = { kind: 'sequence', of: [unnamed, ANY_VALUE] };
  return {
    form: 'bytes',
    key: `parameters ${JSON.stringify(facets)}`,
    pattern: joined({ kind: 'choice', of: [...named, other] }),
    multiplies: true,
  };
}

/** A query in which the parameter is. */
export function namedPattern(name: string): Pattern {
  const piece: BytePattern = { kind: 'sequence', of: [nameOf(name), ANY_VALUE] };
  const before: BytePattern = { kind: 'repeat', of: { kind: 'sequence', of: [ANY_PIECE, AMPERSAND] }, least: 0, most: null };
  const after: BytePattern = { kind: 'repeat', of: { kind: 'sequence', of: [AMPERSAND, ANY_PIECE] }, least: 0, most: null };
  return { form: 'bytes', key: `named ${name}`, pattern: { kind: 'sequence', of: [before, piece, after] }, multiplies: true };
}

/** Over the decoded value. */
function valuePattern(facet: ValueFacet): BytePattern {
  switch (facet.kind) {
    case 'type':
      return parseRegex(TYPE_PATTERNS[facet.type]);
    case 'values':
      return { kind: 'choice', of: facet.values.map((value) => literalBytes(toBinary(value))) };
    case 'pattern':
      return parseFoundRegex(facet.text);
    case 'length': {
      const character: BytePattern = { kind: 'sequence', of: [FIRST_BYTE, FURTHER_BYTES] };
      const { least, most } = facet;
      return { kind: 'sequence', of: [FURTHER_BYTES, { kind: 'repeat', of: character, least, most }] };
    }
  }
}

function nameOf(name: string): BytePattern {
  return percentEncoded(literalBytes(toBinary(name)), 'name');
}

/** Pieces between ampersands. */
function joined(piece: BytePattern): BytePattern {
  const more: BytePattern = { kind: 'repeat', of: { kind: 'sequence', of: [AMPERSAND, piece] }, least: 0, most: null };
  return { kind: 'sequence', of: [piece, more] };
}

function runOf(ranges: readonly { readonly low: number; readonly high: number }[], least: 0 | 1): BytePattern {
  return { kind: 'repeat', of: { kind: 'bytes', ranges }, least, most: null };
}

const NOTHING: BytePattern = { kind: 'sequence', of: [] };
const SLASH = oneByte(0x2f);
const EQUALS = oneByte(0x3d);
const AMPERSAND = oneByte(0x26);
const ANY = runOf([{ low: 0, high: 0xff }], 0);
const ANY_SEGMENT = runOf(
  [
    { low: 0, high: 0x2e },
    { low: 0x30, high: 0xff },
  ],
  1,
);
const ANY_REST = ANY;
const ANY_VALUE: BytePattern = {
  kind: 'choice',
  of: [NOTHING, { kind: 'sequence', of: [EQUALS, percentEncoded(ANY, 'value')] }],
};
const ANY_PIECE: BytePattern = { kind: 'sequence', of: [percentEncoded(ANY, 'name'), ANY_VALUE] };
/** Of a character in UTF-8: its first byte, and those that go on with it. */
const FIRST_BYTE: BytePattern = {
  kind: 'bytes',
  ranges: [
    { low: 0, high: 0x7f },
    { low: 0xc0, high: 0xff },
  ],
};
const FURTHER_BYTES = runOf([{ low: 0x80, high: 0xbf }], 0);
