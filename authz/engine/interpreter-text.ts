/**
 * How the interpreter compares texts: plainly, one value at a time. Nothing here is shared with the planner. Texts that come from
 * requests are bytes, one character each; wanted ones are as written.
 */
import { cidrContains, parseCidr, parseIp } from '#base/cidr.ts';

import type { SpaceDelimitedClaims } from '../policy/workload-policies.ts';
import type { Token } from './input.ts';

/** `*` means that the value is there. `text` is bytes, one character each. */
export function present(wanted: string, text: string): boolean {
  if (wanted === '*') return true;
  if (wanted.startsWith('*')) return text.endsWith(bytes(wanted.slice(1)));
  if (wanted.endsWith('*')) return text.startsWith(bytes(wanted.slice(0, -1)));
  return text === bytes(wanted);
}

/** `*` means that the value is there and not empty. */
export function filled(wanted: string, text: string): boolean {
  return wanted === '*' ? text !== '' : present(wanted, text);
}

export function bytes(text: string): string {
  if (IS_ASCII.test(text)) return text;
  return Buffer.from(text, 'utf8').toString('latin1');
}

export function withoutRootDot(host: string): string {
  const isPrefix = host.endsWith('*') && !host.startsWith('*');
  if (isPrefix || host === '*' || host === '*.' || host === '.') return host;
  if (host.endsWith('.')) return host.slice(0, -1);
  const colon = host.lastIndexOf(':');
  const isPort = colon > 0 && [...host.slice(colon + 1)].every((digit) => digit >= '0' && digit <= '9');
  return isPort && host[colon - 1] === '.' ? host.slice(0, colon - 1) + host.slice(colon) : host;
}

export function inBlock(value: string, address: string): boolean {
  const block = parseCidr(value);
  const parsed = parseIp(address);
  return block !== null && parsed !== null && cidrContains(block, parsed);
}

/** `*` any run, `ONE` any one character. */
export function globMatches(glob: string, text: string): boolean {
  let reached = new Set([0]);
  const spread = (at: ReadonlySet<number>): Set<number> => {
    const all = new Set(at);
    for (const position of all) if (glob[position] === '*') all.add(position + 1);
    return all;
  };
  reached = spread(reached);
  for (const character of text) {
    const next = new Set<number>();
    for (const position of reached) {
      if (glob[position] === '*') next.add(position);
      else if (glob[position] === ONE || glob[position] === character) next.add(position + 1);
    }
    reached = spread(next);
  }
  return reached.has(glob.length);
}

export function matchesPath(wanted: string, path: string): boolean {
  if (!wanted.includes('{*}') && !wanted.includes('{**}')) return filled(wanted, path);
  return matchesSegments(bytes(wanted).split('/'), path.split('/'));
}

/** Segment by segment; `{**}` takes one or more, which may be empty, `{*}` one that is not. */
function matchesSegments(wanted: readonly string[], segments: readonly string[]): boolean {
  const [first, ...rest] = wanted;
  const [segment, ...others] = segments;
  if (first === undefined || segment === undefined) return first === segment;
  if (first === '{**}') {
    return matchesWildcard(segment) && (matchesSegments(rest, others) || matchesSegments(wanted, others));
  }
  const isMatch = first === '{*}' ? segment !== '' && matchesWildcard(segment) : first === segment;
  return isMatch && matchesSegments(rest, others);
}

function matchesWildcard(segment: string): boolean {
  return /^[a-zA-Z0-9\-._~%!$&'()*+,;=:@]*$/.test(segment);
}

/** An identity of the form /ns/NS/sa/SA in an own trust domain. */
export function ownIdentity(
  principal: string,
  trustDomains: readonly string[],
): { readonly namespace: string; readonly account: string } | null {
  const match = /^spiffe:\/\/([^/]+)\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(principal);
  const [, domain = '', namespace = '', account = ''] = match ?? [];
  return match !== null && trustDomains.includes(domain) ? { namespace, account } : null;
}

/** @param wordLists  claims that are lists of words, beside `scope` and `permission` */
export function claimTexts(token: Token, path: readonly string[], wordLists: readonly SpaceDelimitedClaims[]): readonly string[] {
  const members: Readonly<Record<string, unknown>> = {
    ...token.claims,
    iss: token.issuer,
    sub: token.subject,
    aud: token.audiences,
  };
  let value: unknown = token.presenter === null ? members : { ...members, azp: token.presenter };
  for (const name of path) {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    const entry = isObject ? Object.entries(value as object).find(([key]) => key === name) : undefined;
    value = entry?.[1];
  }
  if (typeof value === 'string') {
    const [first = ''] = path;
    const named = wordLists.some(({ issuer, claims }) => issuer === token.issuer && claims.includes(first));
    const isWordList = path.length === 1 && (first === 'scope' || first === 'permission' || named);
    return isWordList ? value.split(' ').filter(Boolean) : [value];
  }
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

/** In a glob: any one character. It stands in no name. */
const ONE = '\u0000';
export const SOME = `${ONE}*`;
const IS_ASCII = /^[\0-\x7f]*$/;
