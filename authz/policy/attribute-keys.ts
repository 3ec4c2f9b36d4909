/** Keys of conditions in our own kinds, as attributes. They are Istio's, and some more. */
import type { Attribute } from './expression.ts';
import { nearestName } from './suggest.ts';
import { bracketed, claimPath } from './values.ts';
import type { ValueFault } from './values.ts';

export function readKey(key: string): Attribute | ValueFault {
  const plain = PLAIN.find(([name]) => name === key);
  if (plain !== undefined) return plain[1];
  const header = bracketed(key, 'request.headers')?.toLowerCase() ?? null;
  if (header !== null) return headerAttribute(key, header);
  if (key.startsWith('request.auth.claims[')) {
    const path = claimPath(key);
    if (path !== null) return { kind: 'claim', path };
  }
  const tag = bracketed(key, 'source.tags');
  if (tag !== null && /^[A-Za-z0-9][-A-Za-z0-9_./]{0,252}$/.test(tag)) return { kind: 'tag', name: tag };
  const near = nearestName(key, KEYS);
  const fix = near === null ? `Known: ${KEYS.join(', ')}` : `Did you mean ${near}`;
  return { code: 'PN0301', message: `Cannot read the key "${key}": no such attribute`, fix };
}

function headerAttribute(key: string, header: string): Attribute | ValueFault {
  if (header === ':method') return { kind: 'method' };
  if (header === ':authority' || header === 'host') return { kind: 'host' };
  if (header === ':path') return { code: 'PN0308', message: `Cannot read the key "${key}"`, fix: 'Write request.path' };
  if (/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(header)) return { kind: 'header', name: header };
  return { code: 'PN0308', message: `Cannot read the header "${header}": no field can have that name`, fix: null };
}

const PLAIN: readonly (readonly [string, Attribute])[] = [
  ['source.principal', { kind: 'principal' }],
  ['source.namespace', { kind: 'namespace' }],
  ['source.serviceAccount', { kind: 'serviceAccount' }],
  ['source.trustDomain', { kind: 'trustDomain' }],
  ['source.ip', { kind: 'sourceIp' }],
  ['remote.ip', { kind: 'remoteIp' }],
  ['destination.ip', { kind: 'destinationIp' }],
  ['destination.port', { kind: 'destinationPort' }],
  ['connection.sni', { kind: 'sni' }],
  ['connection.tls', { kind: 'tls' }],
  ['connection.protocol', { kind: 'protocol' }],
  ['request.method', { kind: 'method' }],
  ['request.host', { kind: 'host' }],
  ['request.path', { kind: 'path' }],
  ['request.auth.issuer', { kind: 'issuer' }],
  ['request.auth.subject', { kind: 'subject' }],
  ['request.auth.audiences', { kind: 'audiences' }],
  ['request.auth.presenter', { kind: 'presenter' }],
];

const KEYS = [...PLAIN.map(([name]) => name), 'request.headers[NAME]', 'request.auth.claims[NAME]', 'source.tags[NAME]'];
