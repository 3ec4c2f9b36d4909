/**
 * What an app is told of its caller: `x-forwarded-client-cert` in the grammar of Envoy and Istio, `x-forwarded-for` and
 * `x-forwarded-proto`. Text is made once per connection.
 */
import type { PeerIdentity } from '#certs/verify.ts';

/** This hop's element of `x-forwarded-client-cert`: keys in Envoy's order, Subject always quoted. */
export function clientCertElement(own: string | null, peer: PeerIdentity): string {
  const by = own === null ? '' : `By=${own};`;
  const dns = peer.dnsNames.map((name) => `;DNS=${quotedIfNeeded(name)}`).join('');
  return `${by}Hash=${peer.fingerprint};Subject=${quoted(peer.subject)};URI=${quotedIfNeeded(peer.spiffeId)}${dns}`;
}

/** The field lines for a caller that may speak for nobody but itself. */
export function forwardedFields(peerAddress: string, element: string, isTls: boolean): Buffer {
  const clientCert = element === '' ? '' : `x-forwarded-client-cert: ${element}\r\n`;
  const forwardedFor = peerAddress === '' ? '' : `x-forwarded-for: ${peerAddress}\r\n`;
  return Buffer.from(`${clientCert}${forwardedFor}x-forwarded-proto: ${isTls ? 'https' : 'http'}\r\n`, 'latin1');
}

/** The lines for a trusted forwarder's request: what it said, with this hop behind it. */
export function continuedFields(peerAddress: string, element: string, saidFor: string, saidCert: string): string {
  const cert = element === '' ? '' : `x-forwarded-client-cert: ${saidCert === '' ? '' : `${saidCert},`}${element}\r\n`;
  return `${cert}x-forwarded-for: ${saidFor === '' ? '' : `${saidFor}, `}${peerAddress}\r\n`;
}

function quotedIfNeeded(value: string): string {
  return /^[\w.:/*~-]+$/.test(value) ? value : quoted(value);
}

/** Bytes that could end the line or the quotes are escaped or replaced. */
function quoted(value: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return `"${value.replace(/["\\]/g, '\\$&').replace(/[\u0000-\u001f\u007f-\uffff]/g, '?')}"`;
}
