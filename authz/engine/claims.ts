/** Claims of a verified token as policies read them. */
import type { SpaceDelimitedClaims } from '../policy/workload-policies.ts';
import type { Token } from './input.ts';

/**
 * Values of a claim: a string is one, a list gives its strings, everything else none. `scope` and `permission` are lists of words
 * at the top level. What the token's own members say wins over claims of the same name.
 *
 * @param wordLists  further claims that are lists of words
 */
export function claimValues(
  token: Token,
  path: readonly string[],
  wordLists: readonly SpaceDelimitedClaims[],
): readonly string[] {
  const [first = ''] = path;
  const own = ownMember(token, first);
  const value = own === undefined ? walk(token.claims, path) : path.length === 1 ? own : undefined;
  if (typeof value === 'string') {
    if (path.length === 1 && (WORD_LISTS.has(first) || isNamed(token, first, wordLists)))
      return value.split(' ').filter((word) => word !== '');
    return [value];
  }
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function isNamed(token: Token, name: string, wordLists: readonly SpaceDelimitedClaims[]): boolean {
  for (const { claims, issuer } of wordLists) if (issuer === token.issuer && claims.includes(name)) return true;
  return false;
}

function ownMember(token: Token, name: string): string | readonly string[] | undefined {
  if (name === 'iss') return token.issuer;
  if (name === 'sub') return token.subject;
  if (name === 'aud') return token.audiences;
  return name === 'azp' && token.presenter !== null ? token.presenter : undefined;
}

function walk(claims: Readonly<Record<string, unknown>>, path: readonly string[]): unknown {
  let value: unknown = claims;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) return undefined;
    // An object that is no list is a record of unknowns.
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}

const WORD_LISTS: ReadonlySet<string> = new Set(['scope', 'permission']);
