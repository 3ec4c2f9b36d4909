/**
 * Fields that Connection names belong to one connection and are dropped (RFC 9110, section 7.6.1), but a caller may not use that to
 * take away what a decision or the app relies on.
 *
 * Hot path: no allocation.
 */

import { COMMA, HTAB, LOWER, SP } from '#wire/h1/characters.ts';
import { FIELD } from '#wire/h1/head.ts';
import type { FieldTable } from '#wire/h1/head.ts';
import { FIELD_RULE } from './field-rules.ts';
import { foldedRule, isFoldedOneOf } from './folded-name.ts';

export const CONNECTION_RESULT = { done: 0, namesProtected: 1, tooMany: 2 } as const;

/**
 * Drops every field that a Connection field names. The parser has found each value to be a list of tokens.
 *
 * @param policyNames       names in lower case that may not be named either
 * @param refusesProtected  whether naming a protected field is refused; for responses it is not
 * @returns a `CONNECTION_RESULT`
 */
export function dropConnectionNamed(
  bytes: Buffer,
  fields: FieldTable,
  policyNames: readonly Uint8Array[],
  refusesProtected: boolean,
): number {
  const { count, ids, ranges } = fields;
  let options = 0;
  for (let field = 0; field < count; field++) {
    if (ids[field] !== FIELD.connection) continue;
    const end = ranges[(field << 2) + 3] ?? 0;
    let index = ranges[(field << 2) + 2] ?? 0;
    while (index < end) {
      if (isSeparator(bytes[index] ?? 0)) {
        index++;
        continue;
      }
      const start = index;
      while (index < end && !isSeparator(bytes[index] ?? 0)) index++;
      if (++options > MAX_OPTIONS) return CONNECTION_RESULT.tooMany;
      if (refusesProtected && isProtected(bytes, start, index, policyNames)) return CONNECTION_RESULT.namesProtected;
      dropNamed(bytes, fields, start, index);
    }
  }
  return CONNECTION_RESULT.done;
}

function isProtected(bytes: Buffer, start: number, end: number, policyNames: readonly Uint8Array[]): boolean {
  if ((foldedRule(bytes, start, end) & FIELD_RULE.protected) !== 0) return true;
  return policyNames.length !== 0 && isFoldedOneOf(bytes, start, end, policyNames);
}

function dropNamed(bytes: Buffer, fields: FieldTable, start: number, end: number): void {
  const { count, dropped, ids, ranges } = fields;
  const length = end - start;
  for (let field = 0; field < count; field++) {
    const nameStart = ranges[field << 2] ?? 0;
    if ((ranges[(field << 2) + 1] ?? 0) - nameStart !== length) continue;
    // `TE: trailers` has to be named by Connection, and we do keep its promise.
    if (ids[field] === FIELD.te) continue;
    let index = 0;
    while (index < length && LOWER[bytes[nameStart + index] ?? 0] === LOWER[bytes[start + index] ?? 0]) index++;
    if (index === length) dropped[field] = 1;
  }
}

function isSeparator(byte: number): boolean {
  return byte === COMMA || byte === SP || byte === HTAB;
}

/** Bounds the work of comparing each option with each field. */
const MAX_OPTIONS = 32;
