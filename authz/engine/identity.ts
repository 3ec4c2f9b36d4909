/**
 * What a SPIFFE ID says by the convention `spiffe://TD/ns/NS/sa/SA`. Strictly: only that form, only an own trust domain. Widely:
 * every namespace and account that Istio's patterns would find anywhere in the path, for rules where matching more denies more.
 */

export interface Identity {
  /** Without its scheme. */
  readonly principal: string;
  /** Null without a path: Istio's patterns want the slash after it. */
  readonly trustDomain: string | null;
  readonly namespace: string | null;
  /** `ns/sa`. */
  readonly account: string | null;
  readonly anyNamespaces: readonly string[];
  readonly anyAccounts: readonly string[];
}

/** Whether a SPIFFE ID is longer than the standard allows, or of so many segments that nobody made it in good faith. */
export function isExcessive(principal: string): boolean {
  if (principal.length > MAX_LENGTH) return true;
  let slashes = 0;
  for (let at = principal.indexOf('/'); at >= 0; at = principal.indexOf('/', at + 1)) slashes++;
  return slashes > MAX_SLASHES;
}

/** Null for what is no SPIFFE ID. The ID must not be excessive. */
export function readIdentity(principal: string, trustDomains: readonly string[]): Identity | null {
  if (!principal.startsWith(SCHEME)) return null;
  const rest = principal.slice(SCHEME.length);
  const segments = rest.split('/');
  const [trustDomain = '', ns, namespace = '', sa, account = ''] = segments;
  const isOwn =
    segments.length === 5 &&
    ns === 'ns' &&
    sa === 'sa' &&
    namespace !== '' &&
    account !== '' &&
    trustDomains.includes(trustDomain);
  return {
    principal: rest,
    trustDomain: segments.length > 1 ? trustDomain : null,
    namespace: isOwn ? namespace : null,
    account: isOwn ? `${namespace}/${account}` : null,
    anyNamespaces: anyNamespaces(rest),
    anyAccounts: anyAccounts(segments),
  };
}

/** Every text between `/ns/` and a later slash. */
function anyNamespaces(path: string): readonly string[] {
  const found = new Set<string>();
  for (let at = path.indexOf(NAMESPACE_MARK); at >= 0; at = path.indexOf(NAMESPACE_MARK, at + 1)) {
    const start = at + NAMESPACE_MARK.length;
    for (let end = path.indexOf('/', start); end >= 0; end = path.indexOf('/', end + 1)) found.add(path.slice(start, end));
  }
  return [...found];
}

/** Every pair NS, SA for which `spiffe://.+/ns/NS/(.+/|)sa/SA(/.+)?` matches. */
function anyAccounts(segments: readonly string[]): readonly string[] {
  const found = new Set<string>();
  const isFilled = (start: number, end: number): boolean => segments.slice(start, end).join('/') !== '';
  for (let ns = 1; ns < segments.length; ns++) {
    if (segments[ns] !== 'ns' || !isFilled(0, ns)) continue;
    for (let sa = ns + 2; sa + 1 < segments.length; sa++) {
      if (segments[sa] !== 'sa' || (sa > ns + 2 && !isFilled(ns + 2, sa))) continue;
      if (sa + 2 < segments.length && !isFilled(sa + 2, segments.length)) continue;
      found.add(`${segments[ns + 1] ?? ''}/${segments[sa + 1] ?? ''}`);
    }
  }
  return [...found];
}

const SCHEME = 'spiffe://';
const NAMESPACE_MARK = '/ns/';
/** SPIFFE-ID, section 2.3. */
const MAX_LENGTH = 2048;
const MAX_SLASHES = 24;
