/** What concerns two settings of an authorizer at once, or two authorizers. */
import type { AuthorizerDocument } from './authorizers-schema.ts';
import type { Finding } from './faults.ts';
import { isLoopback } from './units.ts';
import type { DocumentPath } from './located-document.ts';

/** Everything in `spec.authorizers` that cannot hold together; empty when it does. */
export function authorizerFindings(authorizers: readonly AuthorizerDocument[]): readonly Finding[] {
  return authorizers.flatMap((document, at) => [...findings(document, at, authorizers)]);
}

function* findings(document: AuthorizerDocument, at: number, all: readonly AuthorizerDocument[]): Generator<Finding> {
  const path: DocumentPath = ['spec', 'authorizers', at];
  const { name, envoyExtAuthzGrpc, envoyExtAuthzHttp, opa } = document;
  const first = all.findIndex((other) => other.name === name);
  if (first < at) {
    const message = `found the name "${name}", which authorizers[${first}] has already, wanted a name of its own`;
    yield { code: 'PN0513', path: [...path, 'name'], message, fix: null };
  }
  const kinds = Object.entries({ envoyExtAuthzGrpc, envoyExtAuthzHttp, opa }).filter(([, settings]) => settings !== undefined);
  if (kinds.length !== 1) {
    const found = kinds.length === 0 ? 'no kind of authorizer' : `${kinds.map(([kind]) => kind).join(' and ')} in one authorizer`;
    const message = `found ${found}, wanted one of envoyExtAuthzGrpc, envoyExtAuthzHttp and opa`;
    yield { code: kinds.length === 0 ? 'PN0511' : 'PN0513', path, message, fix: null };
  }
  for (const [kind, settings] of kinds) {
    if (settings?.includeRequestBodyInCheck?.allowPartialMessage !== true) continue;
    yield {
      code: 'PN0513',
      path: [...path, kind, 'includeRequestBodyInCheck', 'allowPartialMessage'],
      message: 'found allowPartialMessage, wanted the body whole: what was not looked at would be forwarded all the same',
      fix: 'leave it out, and a body longer than maxRequestBytes is answered with 413',
    };
  }
  for (const [kind, settings] of Object.entries({ envoyExtAuthzGrpc, envoyExtAuthzHttp })) {
    if (settings === undefined || isLoopback(settings.service)) continue;
    yield {
      code: 'PN0513',
      path: [...path, kind, 'service'],
      message: `found "${settings.service}", where anybody on the way could answer, wanted an address of this machine`,
      fix: 'name an outbound listener of this file that leads there by mutual TLS, and its port',
    };
  }
  if (opa !== undefined) yield* opaFindings(opa, [...path, 'opa']);
}

function* opaFindings({ bundle, unsigned, verification }: Opa, path: DocumentPath): Generator<Finding> {
  if ((bundle.file === undefined) === (bundle.url === undefined)) {
    const found = bundle.file === undefined ? 'neither file nor url' : 'file and url';
    yield { code: 'PN0513', path: [...path, 'bundle'], message: `found ${found}, wanted one of them`, fix: null };
  }
  if (bundle.url === undefined) return;
  if (!isBundleUrl(bundle.url)) {
    const message = `found "${bundle.url}", wanted https, or http to this machine, without a user in it`;
    yield { code: 'PN0512', path: [...path, 'bundle', 'url'], message, fix: null };
  }
  if (verification !== undefined || unsigned) return;
  const message = 'found a bundle server and no key, wanted verification';
  yield { code: 'PN0511', path, message, fix: 'add verification: { keyFile: … }, or say unsigned: true' };
}

type Opa = NonNullable<AuthorizerDocument['opa']>;

function isBundleUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username } = new URL(text);
  const isLocal = isLoopback(hostname.replace(/^\[|\]$/gu, ''));
  return username === '' && (protocol === 'https:' || (protocol === 'http:' && isLocal));
}
