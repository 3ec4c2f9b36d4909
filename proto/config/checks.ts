/** What concerns two settings of a `kind: Proxy` file at once, and what only the place of the file tells. */
import { parseSpiffeId } from '#certs/spiffe-id.ts';

import type { Finding } from './faults.ts';
import { WANTED_TRUST_DOMAIN, isTrustDomain } from './fields.ts';
import type { ListenAddress, ProxyConfig } from './proxy.ts';
import { addressText, isLoopback } from './units.ts';
import type { DocumentPath } from './located-document.ts';

/** Everything in a configuration that cannot hold together; empty when it does. */
export function contradictions(config: ProxyConfig): Finding[] {
  return [
    ...identityFindings(config),
    ...listenerFindings(config),
    ...outboundFindings(config),
    ...pathPolicyFindings(config),
    ...policyFindings(config),
    ...socketFindings(config),
  ];
}

function* identityFindings({ identity }: ProxyConfig): Generator<Finding> {
  const path = ['spec', 'identity', 'files', 'bundles'];
  for (const name of Object.keys(identity.files.bundles)) {
    if (isTrustDomain(name)) continue;
    yield { code: 'PN0512', path: [...path, name], message: `found the key "${name}", wanted ${WANTED_TRUST_DOMAIN}`, fix: null };
  }
  for (const name of Object.keys(identity.files.revocationLists)) {
    if (Object.hasOwn(identity.files.bundles, name)) continue;
    const listPath = ['spec', 'identity', 'files', 'revocationLists', name];
    const message = `found lists of "${name}", for which there is no bundle`;
    yield { code: 'PN0513', path: listPath, message, fix: `add ${name}: and the file of its trust bundle` };
  }
  if (Object.hasOwn(identity.files.bundles, identity.trustDomain)) return;
  yield {
    code: 'PN0513',
    path,
    message: `found no bundle of the own trust domain, wanted one of "${identity.trustDomain}"`,
    fix: `add ${identity.trustDomain}: and the file of its trust bundle`,
  };
}

function* listenerFindings({ inbound, outbound, hbone, telemetry }: ProxyConfig): Generator<Finding> {
  if (inbound.length + outbound.length === 0) {
    yield {
      code: 'PN0511',
      path: ['spec'],
      message: 'found no listener, wanted an inbound or an outbound one',
      fix: 'add inbound',
    };
  }
  const seen = new Map<string, string>();
  if (hbone !== null) seen.set(addressText(hbone.listen).toLowerCase(), 'hbone');
  const addresses: [string, ListenAddress, DocumentPath][] = [
    ...inbound.map(({ listen }, at): [string, ListenAddress, DocumentPath] => [
      `inbound[${at}]`,
      listen,
      ['spec', 'inbound', at, 'listen'],
    ]),
    ...outbound.map(({ listen }, at): [string, ListenAddress, DocumentPath] => [
      `outbound[${at}]`,
      listen,
      ['spec', 'outbound', at, 'listen'],
    ]),
  ];
  if (telemetry.status !== null) addresses.push(['telemetry.status', telemetry.status, ['spec', 'telemetry', 'status']]);
  if (telemetry.admin !== null) addresses.push(['telemetry.admin', { socket: telemetry.admin }, ['spec', 'telemetry', 'admin']]);
  for (const [name, address, path] of addresses) {
    if ('port' in address && address.port === 0) continue;
    const text = addressText(address).toLowerCase();
    const other = seen.get(text);
    if (other === undefined) seen.set(text, name);
    else
      yield {
        code: 'PN0513',
        path,
        message: `found "${text}", which ${other} has already, wanted an address of its own`,
        fix: null,
      };
  }

  for (const [side, listeners] of Object.entries({ inbound, outbound })) {
    const own = new Set(listeners.map(({ listen }) => addressText(listen).toLowerCase()));
    for (const [at, { forwardTo }] of listeners.entries()) {
      const text = addressText(forwardTo).toLowerCase();
      if (!own.has(text)) continue;
      const message = `found "${text}", which is an ${side} listener of this file, wanted an address behind it`;
      yield { code: 'PN0513', path: ['spec', side, at, 'forwardTo'], message, fix: null };
    }
  }
}

/** An outbound listener lends our identity to whoever reaches it. */
function* outboundFindings({ outbound, identity }: ProxyConfig): Generator<Finding> {
  for (const [at, listener] of outbound.entries()) {
    const path = ['spec', 'outbound', at];
    const { listen } = listener;
    if (listener.endpoints.length === 0) {
      yield { code: 'PN0511', path, message: 'found no forwardTo, wanted it or endpoints', fix: 'add forwardTo: host:port' };
    }
    if ('host' in listen && !isLoopback(listen.host)) {
      yield {
        code: 'PN0513',
        path: [...path, 'listen'],
        message: `found "${addressText(listen)}", which lends this identity to other machines, wanted a loopback address or unix:path`,
        fix: `listen on 127.0.0.1:${listen.port}`,
      };
    }
    if ('socket' in listen && listener.allowUids !== null) {
      const message = 'found allowUids on a Unix socket, wanted it on a TCP listener only';
      yield { code: 'PN0513', path: [...path, 'allowUids'], message, fix: 'leave it out: the mode of the socket (0600) decides' };
    }
    for (const [index, id] of listener.expect.entries()) {
      const parsed = parseSpiffeId(id);
      if (!parsed.ok || Object.hasOwn(identity.files.bundles, parsed.id.trustDomain)) continue;
      yield {
        code: 'PN0513',
        path: [...path, 'expect', index],
        message: `found an ID of "${parsed.id.trustDomain}", for which spec.identity.files.bundles has no bundle`,
        fix: `add ${parsed.id.trustDomain}: and the file of its trust bundle`,
      };
    }
  }
}

/** One service is judged by one path policy, whichever listener the request came by. */
function* pathPolicyFindings({ inbound }: ProxyConfig): Generator<Finding> {
  const seen = new Map<string, { at: number; mode: string }>();
  for (const [at, { forwardTo, pathPolicy }] of inbound.entries()) {
    const service = addressText(forwardTo).toLowerCase();
    const first = seen.get(service);
    if (first === undefined) seen.set(service, { at, mode: pathPolicy });
    else if (first.mode !== pathPolicy) {
      yield {
        code: 'PN0513',
        path: ['spec', 'inbound', at, 'pathPolicy'],
        message: `found the path policy ${pathPolicy} for ${service}, wanted ${first.mode} as in inbound[${first.at}]`,
        fix: `say pathPolicy: ${first.mode} in both, or ${pathPolicy} in both`,
      };
    }
  }
}

function* policyFindings({ policies }: ProxyConfig): Generator<Finding> {
  const { allowAll, allowEmpty, bundle, files, lastKnownGood } = policies;
  const path = ['spec', 'policies'];
  if (allowAll && (files.length > 0 || bundle !== null)) {
    const message = `found allowAll beside ${bundle === null ? 'files' : 'a bundle'}, wanted one of them`;
    yield { code: 'PN0513', path: [...path, 'allowAll'], message, fix: 'leave allowAll out, and the policies decide' };
  }
  if (bundle !== null && files.length > 0) {
    const message = 'found a bundle beside files, wanted one of them';
    yield { code: 'PN0513', path: [...path, 'bundle'], message, fix: 'compile the files into the bundle' };
  }
  if (bundle !== null && allowEmpty) {
    const message = 'found allowEmpty beside a bundle, wanted it beside files only';
    yield { code: 'PN0513', path: [...path, 'allowEmpty'], message, fix: 'leave it out: a bundle says itself that it is empty' };
  }
  if (lastKnownGood !== null && bundle === null && files.length === 0) {
    const message = 'found lastKnownGood without files and without a bundle, wanted one of them';
    yield { code: 'PN0513', path: [...path, 'lastKnownGood'], message, fix: 'leave it out: there is nothing to keep' };
  }
}

function* socketFindings({ inbound, outbound, telemetry }: ProxyConfig): Generator<Finding> {
  const sockets: [DocumentPath, string][] = [];
  for (const [side, listeners] of Object.entries({ inbound, outbound })) {
    for (const [at, { listen }] of listeners.entries()) {
      if ('socket' in listen) sockets.push([['spec', side, at, 'listen'], listen.socket]);
    }
  }
  if (telemetry.admin !== null) sockets.push([['spec', 'telemetry', 'admin'], telemetry.admin]);
  for (const [path, socket] of sockets) {
    const bytes = Buffer.byteLength(socket);
    if (bytes <= MAX_SOCKET_BYTES) continue;
    const message = `found the socket "${socket}" of ${bytes} bytes, wanted at most ${MAX_SOCKET_BYTES}`;
    yield { code: 'PN0512', path, message, fix: 'use a shorter folder, such as /run/postern' };
  }
}

/** `sun_path` holds 108 bytes with its terminating zero (unix(7)). */
const MAX_SOCKET_BYTES = 107;
