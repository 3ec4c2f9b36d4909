/**
 * Certificates for tests, made by the product's own authority: bundles from authorities, revocation lists, and overrides that bend one
 * extension of a certificate at a time.
 */
import type { Authority, Overrides } from '#certs/authority/authority.ts';
import { makeTrustBundle, TrustBundles } from '#certs/trust-bundle.ts';
import type { TrustBundle } from '#certs/trust-bundle.ts';
import { readRevocationList } from '#certs/x509/crl.ts';
import type { RevocationList } from '#certs/x509/crl.ts';
import * as write from '#certs/x509/write.ts';
import type { ExtensionFields, RevocationListFields } from '#certs/x509/write.ts';

/** Leaves every field as the authority writes it, and lifts its own checks. */
export const intact: Overrides = () => ({});

/** The bundles of some authorities, each under its own trust domain. */
export function bundlesOf(...authorities: readonly Authority[]): TrustBundles {
  return new TrustBundles(
    authorities.map((each) => bundleOf(each.trustDomain, [each])),
    1,
  );
}

/** One bundle with these authorities as anchors. */
export function bundleOf(
  trustDomain: string,
  authorities: readonly Authority[],
  revocationLists: readonly RevocationList[] = [],
): TrustBundle {
  const anchors = authorities.map((each) => each.certificate);
  const made = makeTrustBundle(trustDomain, anchors, { revocationLists });
  if (!made.ok) throw new Error(made.message);
  return made.bundle;
}

/** A list that holds for an hour around `atMs` unless `fields` say otherwise. */
export function revocationListOf(authority: Authority, atMs: number, fields: Partial<RevocationListFields> = {}): RevocationList {
  const der = write.writeRevocationList({
    issuer: authority.certificate.subject,
    thisUpdateMs: atMs - HOUR_MS,
    nextUpdateMs: atMs + HOUR_MS,
    revoked: [],
    signer: authority.key,
    ...fields,
  });
  const read = readRevocationList(der);
  if (!read.ok) throw new Error(read.message);
  return read.list;
}

/** Replaces the extension of the same kind. */
export function swap(extension: ExtensionFields): Overrides {
  return ({ extensions }) => ({ extensions: extensions.map((each) => (each.oid === extension.oid ? extension : each)) });
}

export function add(extension: ExtensionFields): Overrides {
  return ({ extensions }) => ({ extensions: [...extensions, extension] });
}

export function drop(...oids: readonly string[]): Overrides {
  return ({ extensions }) => ({ extensions: extensions.filter((each) => !oids.includes(each.oid)) });
}

/** An extension that nobody knows. */
export function unknownExtension(isCritical: boolean): ExtensionFields {
  return { oid: '1.2.3.4', isCritical, value: Buffer.from([5, 0]) };
}

const HOUR_MS = 3_600_000;
