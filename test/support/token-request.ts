/** Rules and requests for unit tests of what proves tokens. */
import type { SelectedJwtRule } from '#authz/policy/authentication.ts';
import { RequestHead } from '#wire/h1/head.ts';
import { parseRequestHead } from '#wire/h1/request.ts';

/** A rule that says nothing but what is given. */
export function ruleOf(rule: Partial<SelectedJwtRule> & { readonly issuer: string }): SelectedJwtRule {
  return {
    policy: 'test/users',
    audiences: [],
    jwksUri: null,
    jwks: null,
    fromHeaders: [],
    fromParams: [],
    fromCookies: [],
    outputPayloadToHeader: null,
    outputClaimToHeaders: [],
    forwardOriginalToken: false,
    timeoutMs: 5_000,
    spaceDelimitedClaims: [],
    isRequired: false,
    ...rule,
  };
}

export function requestHead(method: string, target: string, fields: readonly (readonly [string, string])[]): RequestHead {
  const lines = [['host', 'app.test'], ...fields].map(([name, value]) => `${name}: ${value}\r\n`);
  const bytes = Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1');
  const head = new RequestHead();
  const end = parseRequestHead(bytes, 0, bytes.length, head, { headBytes: 65_536, fields: 100 });
  if (end !== bytes.length) throw new Error(`Cannot parse the request: ${end}`);
  return head;
}
