/**
 * The fields that a rule has us hand on to the app of a token that was proved: its payload, and single claims. As Envoy writes them
 * (jwt_authn): texts as they are, numbers and booleans as JSON, lists and objects as base64 of JSON; a dot in a claim's name leads into
 * an object. A value that no field can hold is left out, and the caller's own field of that name is gone all the same.
 */
import type { SelectedJwtRule } from '#authz/policy/authentication.ts';
import type { WrittenField } from './found-tokens.ts';

/** @param text  the token as it came */
export function claimFields(
  rule: SelectedJwtRule,
  claims: Readonly<Record<string, unknown>>,
  text: string,
): readonly WrittenField[] {
  const fields: WrittenField[] = [];
  const { outputClaimToHeaders, outputPayloadToHeader } = rule;
  if (outputPayloadToHeader !== null) {
    fields.push([outputPayloadToHeader.toLowerCase(), text.slice(text.indexOf('.') + 1, text.lastIndexOf('.'))]);
  }
  for (const { claim, header } of outputClaimToHeaders) {
    const value = fieldValue(claimAt(claims, claim));
    if (value !== null) fields.push([header.toLowerCase(), value]);
  }
  return fields;
}

function claimAt(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  let value: unknown = claims;
  for (const part of name.split('.')) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, part)) return undefined;
    // An object that is no list is a record of unknowns.
    value = (value as Readonly<Record<string, unknown>>)[part];
  }
  return value;
}

function fieldValue(value: unknown): string | null {
  switch (typeof value) {
    case 'string': {
      const bytes = Buffer.from(value, 'utf8').toString('latin1');
      return FIELD_VALUE.test(bytes) ? bytes : null;
    }
    case 'number':
    case 'boolean':
      return String(value);
    case 'object':
      return value === null ? null : Buffer.from(JSON.stringify(value), 'utf8').toString('base64');
    default:
      return null;
  }
}

/** RFC 9110, section 5.5: no control characters, no blanks at either end; not empty. */
const FIELD_VALUE = /^[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?$/;
