/** What of an input other hosts can be asked, and the names and claims that they are asked with. */
import type { AuthzInput, Decision, DecisionCode } from '#authz/engine/input.ts';
import { decision } from '#authz/engine/decisions.ts';
import { authorityText, parseAuthority } from '#proxy/http/authority.ts';

/** Whether a host that canonicalises by itself would see the same request. */
export function isCanonical({ connection, request }: AuthzInput): boolean {
  if (connection.sni !== null && /[^\x20-\x7e]/.test(connection.sni)) return false;
  if (connection.principal !== null && /[^\x20-\x7e]/.test(connection.principal)) return false;
  if (request === null) return true;
  const authority = parseAuthority(request.authority);
  return (
    authority !== null &&
    authorityText(authority) === request.authority &&
    !/[?#]/.test(request.path) &&
    !request.query?.includes('#') &&
    request.tokens.length < 2
  );
}

/** Bytes of one character each as the text that they are in UTF-8, or null where they are none. */
export function asText(binary: string): string | null {
  const text = Buffer.from(binary, 'latin1').toString('utf8');
  return Buffer.from(text, 'utf8').toString('latin1') === binary ? text : null;
}

export function decisionFrom(isAllowed: boolean, code: string, policy: string | null, rule: string | null): Decision {
  // The modules name the same codes.
  return decision(isAllowed ? 'allow' : 'deny', code as DecisionCode, '', policy, rule);
}
