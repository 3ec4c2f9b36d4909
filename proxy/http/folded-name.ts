/**
 * Field names with `_` read as `-`: what CGI, WSGI and their like make of them, so that two spellings reach an app as one name.
 *
 * Hot path: no allocation.
 */

import { LOWER } from '#wire/h1/characters.ts';
import { fieldId } from '#wire/h1/field-names.ts';
import { FIELD } from '#wire/h1/head.ts';
import { prefixRule, ruleOf } from './field-rules.ts';

/** The rule (`FIELD_RULE`) of the name that this one is once it is folded. */
export function foldedRule(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  const known = length < FOLDED.length ? length : FOLDED.length;
  for (let index = 0; index < known; index++) FOLDED[index] = fold(bytes[start + index] ?? 0);
  const id = length === known ? fieldId(FOLDED, 0, known) : FIELD.unknown;
  return id === FIELD.unknown ? prefixRule(FOLDED, 0, known) : ruleOf(id);
}

/** Whether the bytes spell one of `names`, both sides folded. */
export function isFoldedOneOf(bytes: Uint8Array, start: number, end: number, names: readonly Uint8Array[]): boolean {
  for (let index = 0; index < names.length; index++) {
    const name = names[index];
    if (name !== undefined && equalsFolded(bytes, start, end, name)) return true;
  }
  return false;
}

function equalsFolded(bytes: Uint8Array, start: number, end: number, name: Uint8Array): boolean {
  if (end - start !== name.length) return false;
  for (let index = 0; index < name.length; index++) {
    if (fold(bytes[start + index] ?? 0) !== fold(name[index] ?? 0)) return false;
  }
  return true;
}

function fold(byte: number): number {
  return byte === 95 ? 45 : (LOWER[byte] ?? 0);
}

/** Longer than any known name: a longer one can belong to a family only. */
const FOLDED = new Uint8Array(64);
