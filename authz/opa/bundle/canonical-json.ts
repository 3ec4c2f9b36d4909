/**
 * JSON as OPA hashes it: keys sorted by their bytes, no blanks, numbers as they were written, texts as Go's encoder writes them
 * without HTML escapes.
 */
import { MAX_JSON_DEPTH, parseJson } from '../json.ts';
import { compareText } from '../value.ts';

/** Null for what is no JSON that a bundle may hold. */
export function canonicalJson(text: string): string | null {
  if (!parseJson(text, MAX_JSON_DEPTH).ok) return null;
  // Only the literal of a number tells 1.0 from 1; the reviver is shown it.
  const value: unknown = JSON.parse(text, (_key, element: unknown, context?: { readonly source?: string }) =>
    typeof element === 'number' ? new Literal(context?.source ?? String(element)) : element,
  );
  return written(value);
}

/** A number's text. */
class Literal {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

function written(value: unknown): string {
  if (value instanceof Literal) return value.text;
  if (typeof value === 'string') return goText(value);
  if (Array.isArray(value)) return `[${value.map(written).join(',')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const pairs = Object.entries(value).sort(([left], [right]) => compareText(left, right));
  return `{${pairs.map(([key, element]) => `${goText(key)}:${written(element)}`).join(',')}}`;
}

function goText(text: string): string {
  return JSON.stringify(text.toWellFormed())
    .replaceAll('\u2028', String.raw`\u2028`)
    .replaceAll('\u2029', String.raw`\u2029`);
}
