/** What single values of an AuthorizationPolicy must look like. Says what is wrong; what a value means is not known here. */
import { parseCidr } from '#base/cidr.ts';

import type { MessageCode } from './messages.ts';
import { nearestName } from './suggest.ts';

/** Why a value is refused; null is that it is fine. */
export interface ValueFault {
  readonly code: MessageCode;
  readonly message: string;
  readonly fix: string | null;
}

export type ValueCheck = (text: string) => ValueFault | null;

export function checkIp(text: string): ValueFault | null {
  if (parseCidr(text) !== null) return null;
  return refuse(
    'PN0302',
    `Cannot read "${text}": found no IP address or CIDR block`,
    'Write it like 10.1.2.3, 10.0.0.0/8 or 2001:db8::/32',
  );
}

export function checkPort(text: string): ValueFault | null {
  if (/^[0-9]{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535) return null;
  return refuse('PN0303', `Cannot read "${text}": found no port`, 'Write a number from 1 to 65535, quoted');
}

/** Plain values with `*` at an end, or a template of whole segments `{*}`, `{**}`; never both. */
export function checkPath(text: string): ValueFault | null {
  const isTemplate = text.includes('{*}') || text.includes('{**}');
  if (isTemplate && !text.startsWith('/')) return badTemplate(text, 'a template starts with "/"');
  let isAfterRest = false;
  for (const segment of trimSlashes(text).split('/')) {
    if (segment === '{*}' || segment === '{**}') {
      if (isAfterRest) return badTemplate(text, '{**} is the last operator of a template');
      isAfterRest = segment === '{**}';
      continue;
    }
    if (/[{}]/.test(segment)) return badTemplate(text, '"{" and "}" stand only in {*} and {**}, as whole segments');
    if (isTemplate && !/^[a-zA-Z0-9\-._~%!$&'()+,;:@=]+$/.test(segment)) {
      return badTemplate(text, `the segment "${segment}" of a template must be a literal without "*"`);
    }
  }
  return null;
}

export function checkPrincipal(text: string): ValueFault | null {
  if (!/^spiffe:\/\//i.test(text)) return null;
  return refuse(
    'PN0307',
    `Cannot read "${text}": principals are written without their scheme`,
    `Write ${text.slice('spiffe://'.length)}`,
  );
}

export function checkNamespace(text: string): ValueFault | null {
  if (!text.includes('/')) return null;
  return refuse('PN0310', `Cannot read "${text}": a namespace holds no "/"`, null);
}

/** `name` or `namespace/name`, without `*`. */
export function checkServiceAccount(text: string): ValueFault | null {
  const parts = text.split('/');
  if (!text.includes('*') && parts.length <= 2 && parts.every((part) => part !== '')) return null;
  return refuse('PN0305', `Cannot read "${text}": found no service account`, 'Write NAME or NAMESPACE/NAME, without "*"');
}

/** A trust domain, `*` at one end at most. */
export function checkTrustDomain(text: string): ValueFault | null {
  const inner = text === '*' ? '' : text.replace(/^\*|\*$/, '');
  if (!inner.includes('*') && !text.includes('/')) return null;
  return refuse('PN0306', `Cannot read "${text}": found no trust domain`, 'Write a trust domain, with "*" at one end at most');
}

export function checkNothing(): ValueFault | null {
  return null;
}

/** What values a condition's key takes, or why the key is refused. */
export function checkOfKey(key: string): ValueCheck | ValueFault {
  const header = bracketed(key, 'request.headers');
  if (header !== null) return checkHeaderName(header) ?? checkNothing;
  if (key.startsWith('request.auth.claims[') && claimPath(key) !== null) return checkNothing;
  if (/^experimental\.envoy\.filters\.[^[\]]+\[.+\]$/.test(key)) return checkNothing;
  if (Object.hasOwn(PLAIN_KEYS, key)) return PLAIN_KEYS[key] ?? checkNothing;
  const near = nearestName(key, CONDITION_KEYS);
  return refuse(
    'PN0301',
    `Cannot read the key "${key}": no such attribute`,
    near === null ? `Known: ${CONDITION_KEYS.join(', ')}` : `Did you mean ${near}`,
  );
}

/** `[name]` after `prefix`, or null. The name may itself hold brackets. */
export function bracketed(key: string, prefix: string): string | null {
  if (!key.startsWith(`${prefix}[`) || !key.endsWith(']')) return null;
  const name = key.slice(prefix.length + 1, -1);
  return name === '' ? null : name;
}

/** Names of `request.auth.claims[a][b]`, or null when it is malformed. */
export function claimPath(key: string): readonly string[] | null {
  const rest = key.slice('request.auth.claims'.length);
  if (!rest.startsWith('[') || !rest.endsWith(']')) return null;
  const names = rest.slice(1, -1).split('][');
  return names.every((name) => name !== '') ? names : null;
}

function checkHeaderName(name: string): ValueFault | null {
  const lower = name.toLowerCase();
  if (lower === ':method' || lower === ':authority') return null;
  if (lower.startsWith(':')) {
    return refuse(
      'PN0308',
      `Cannot read the header "${name}": a condition cannot see it`,
      lower === ':path' ? 'Use to.operation.paths' : null,
    );
  }
  if (/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) return null;
  return refuse('PN0308', `Cannot read the header "${name}": no field can have that name`, null);
}

function badTemplate(text: string, why: string): ValueFault {
  return refuse('PN0304', `Cannot read the path "${text}": ${why}`, 'Write it like /users/{*}/orders or /files/{**}');
}

function trimSlashes(text: string): string {
  return text.replace(/^\/+/, '').replace(/\/+$/, '');
}

function refuse(code: MessageCode, message: string, fix: string | null): ValueFault {
  return { code, message, fix };
}

const PLAIN_KEYS: Readonly<Record<string, ValueCheck>> = {
  'source.ip': checkIp,
  'remote.ip': checkIp,
  'source.namespace': checkNamespace,
  'source.principal': checkPrincipal,
  'source.serviceAccount': checkServiceAccount,
  'source.trustDomain': checkTrustDomain,
  'request.auth.principal': checkNothing,
  'request.auth.audiences': checkNothing,
  'request.auth.presenter': checkNothing,
  'destination.ip': checkIp,
  'destination.port': checkPort,
  'connection.sni': checkNothing,
};

const CONDITION_KEYS = [
  ...Object.keys(PLAIN_KEYS),
  'request.headers[NAME]',
  'request.auth.claims[NAME]',
  'experimental.envoy.filters.FILTER[KEY]',
];
