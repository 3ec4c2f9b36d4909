/**
 * The battery of X.509-SVID chains that every verifier of ours is held to: 35 that must be refused, each for its own reason, and 6 that
 * must be accepted. 26 of the bad ones are accepted by OpenSSL with all roots in one store. Made anew for each run by the product's own
 * authority, which is told to bend one thing at a time.
 */
import { createIntermediate, createRoot, issueSvid } from '#certs/authority/authority.ts';
import type { Authority, IssuedSvid, Overrides } from '#certs/authority/authority.ts';
import type { SvidRefusalCode } from '#certs/refusal.ts';
import type { TrustBundles } from '#certs/trust-bundle.ts';
import { EXTENSION, KEY_USAGE } from '#certs/x509/extensions.ts';
import { writePem } from '#certs/x509/pem.ts';
import * as write from '#certs/x509/write.ts';
import { add, bundlesOf, drop, intact, swap, unknownExtension } from '#test/support/authority.ts';

export interface SvidCase {
  readonly name: string;
  /** Leaf first, DER. */
  readonly chain: readonly Buffer[];
  readonly certificatePem: string;
  /** Of the leaf, PKCS#8. */
  readonly keyPem: string;
  readonly want: 'accepted' | SvidRefusalCode;
  /** Of the refusal. */
  readonly clause?: string;
}

export interface SvidBattery {
  readonly a: Authority;
  readonly b: Authority;
  /** Of `a.test` and `b.test`; there is none for `c.test`. */
  readonly bundles: TrustBundles;
  readonly good: readonly SvidCase[];
  readonly bad: readonly SvidCase[];
}

export const WORKLOAD_ID = 'spiffe://a.test/ns/prod/sa/web';

/** Makes the battery, its certificates valid around `atMs`. */
export function makeSvidBattery(atMs: number): SvidBattery {
  const a = createRoot({ trustDomain: 'a.test', atMs, lifetimeMs: DAY_MS });
  const b = createRoot({ trustDomain: 'b.test', atMs, lifetimeMs: DAY_MS });
  const below = (parent: Authority, name: string, overrides?: Overrides): Authority =>
    createIntermediate(parent, { atMs, lifetimeMs: DAY_MS, name, ...(overrides === undefined ? {} : { overrides }) });
  const leaf = (authority: Authority, overrides: Overrides = intact, spiffeId = WORKLOAD_ID): IssuedSvid =>
    issueSvid(authority, { spiffeId, atMs, lifetimeMs: HOUR_MS, overrides });
  const withId = (id: string): IssuedSvid => leaf(a, intact, id);

  const intermediate = below(a, 'one');
  const crossed = below(b, 'crossed');
  const short = below(a, 'short', swap(write.basicConstraints(true, 0)));
  const notCa = below(a, 'not a CA', swap(write.basicConstraints(false)));
  const noCertSign = below(a, 'no keyCertSign', swap(write.keyUsage(KEY_USAGE.digitalSignature)));
  const elsewhere = below(a, 'elsewhere', add(write.nameConstraints(['b.test'], [])));
  const here = below(a, 'here', add(write.nameConstraints(['a.test'], [])));
  const workload = leaf(a);
  const byWorkload: Authority = { ...a, certificate: workload.certificate, key: workload.key, chain: [workload.certificate] };

  const good = [
    accepted('signed by the root', leaf(a)),
    accepted('signed by an intermediate', leaf(intermediate)),
    accepted('of another trusted domain', leaf(b, intact, 'spiffe://b.test/x')),
    accepted('a DNS name beside the URI', leaf(a, swap(write.subjectAltName([WORKLOAD_ID], ['api.prod'], true)))),
    accepted('an intermediate with path length 0 above a leaf', leaf(short)),
    accepted('a name constraint that holds', leaf(here)),
  ];
  const bad = [
    refused('signed by the root of another domain', leaf(b), 'foreign_issuer', 'SPIFFE-Federation 4.2'),
    refused('signed by an intermediate of another domain', leaf(crossed), 'foreign_issuer', 'SPIFFE-Federation 4.2'),
    refused('of a domain without bundle', withId('spiffe://c.test/x'), 'bundle_missing', 'X509-SVID 5.2'),
    refused('two SPIFFE IDs', leaf(a, uris(WORKLOAD_ID, 'spiffe://a.test/y')), 'uri_san_multiple', 'X509-SVID 2'),
    refused('a SPIFFE ID and a web address', leaf(a, uris(WORKLOAD_ID, 'https://x/')), 'uri_san_multiple', 'X509-SVID 2'),
    refused('no alternative name', leaf(a, drop(EXTENSION.subjectAltName)), 'san_missing', 'X509-SVID 2'),
    refused('only a DNS name', leaf(a, dnsNames('api')), 'uri_san_missing', 'X509-SVID 2'),
    refused(
      'a DNS name that spells out a URI',
      leaf(a, dnsNames('x, URI:spiffe://a.test/admin, y')),
      'uri_san_missing',
      'X509-SVID 2',
    ),
    refused("the domain's own ID", withId('spiffe://a.test'), 'path_missing', 'X509-SVID 3.1'),
    refused("the domain's own ID with a slash", withId('spiffe://a.test/'), 'path_trailing_slash', 'SPIFFE-ID 2.2'),
    refused('a trailing slash', withId(`${WORKLOAD_ID}/`), 'path_trailing_slash', 'SPIFFE-ID 2.2'),
    refused('a dot segment', withId('spiffe://a.test/ns/../admin'), 'path_dot_segment', 'SPIFFE-ID 2.2'),
    refused('a percent sign', withId('spiffe://a.test/ns%2fprod'), 'path_percent_encoding', 'SPIFFE-ID 2.2'),
    refused('an empty segment', withId('spiffe://a.test//x'), 'path_empty_segment', 'SPIFFE-ID 2.2'),
    refused('an upper-case trust domain', withId('spiffe://A.test/x'), 'trust_domain_charset', 'SPIFFE-ID 2.1'),
    refused('an upper-case scheme', withId('SPIFFE://a.test/x'), 'scheme', 'X509-SVID 5.2'),
    refused('user information', withId('spiffe://u@a.test/x'), 'trust_domain_user_info', 'SPIFFE-ID 2.1'),
    refused('a port', withId('spiffe://a.test:1/x'), 'trust_domain_port', 'SPIFFE-ID 2.1'),
    refused('a query', withId(`${WORKLOAD_ID}?q`), 'id_query', 'SPIFFE-ID 2'),
    refused('a fragment', withId(`${WORKLOAD_ID}#f`), 'id_fragment', 'SPIFFE-ID 2'),
    refused('a NUL', withId('spiffe://a.test/x\u0000y'), 'path_charset', 'SPIFFE-ID 2.2'),
    refused('a leaf that is a CA', leaf(a, swap(write.basicConstraints(true))), 'leaf_is_ca', 'X509-SVID 4.1'),
    refused('a leaf with keyCertSign', leaf(a, usage('keyCertSign')), 'leaf_key_cert_sign', 'X509-SVID 4.3'),
    refused('a leaf with cRLSign', leaf(a, usage('cRLSign')), 'leaf_crl_sign', 'X509-SVID 4.3'),
    refused('no key usage', leaf(a, drop(EXTENSION.keyUsage)), 'key_usage_missing', 'X509-SVID 4.3'),
    refused(
      'no digitalSignature',
      leaf(a, swap(write.keyUsage(KEY_USAGE.keyAgreement))),
      'digital_signature_missing',
      'X509-SVID 4.3',
    ),
    refused('a missing intermediate', withoutIssuers(leaf(intermediate)), 'issuer_missing', 'X509-SVID 5.1'),
    refused(
      'expired',
      leaf(a, () => ({ notAfterMs: atMs - 1000 })),
      'expired',
      'RFC 5280 4.1.2.5',
    ),
    refused(
      'not yet valid',
      leaf(a, () => ({ notBeforeMs: atMs + 60_000 })),
      'not_yet_valid',
      'RFC 5280 4.1.2.5',
    ),
    refused('an intermediate that is no CA', leaf(notCa), 'issuer_not_ca', 'X509-SVID 4.1'),
    refused('an intermediate without keyCertSign', leaf(noCertSign), 'issuer_key_cert_sign', 'X509-SVID 4.3'),
    refused('more intermediates than the path length allows', leaf(below(short, 'two')), 'path_length', 'X509-SVID 4.1'),
    refused('a name constraint that does not hold', leaf(elsewhere), 'name_constraint', 'X509-SVID 4.2'),
    refused('an unknown critical extension', leaf(a, add(unknownExtension(true))), 'critical_extension', 'RFC 5280 4.2'),
    refused(
      'signed by a workload',
      issueSvid(byWorkload, { spiffeId: 'spiffe://a.test/admin', atMs, lifetimeMs: HOUR_MS }),
      'issuer_is_svid',
      'X509-SVID 3.2',
    ),
  ];
  return { a, b, bundles: bundlesOf(a, b), good, bad };
}

function uris(...names: readonly string[]): Overrides {
  return swap(write.subjectAltName(names, [], true));
}

function dnsNames(...names: readonly string[]): Overrides {
  return swap(write.subjectAltName([], names, true));
}

function usage(bit: keyof typeof KEY_USAGE): Overrides {
  return swap(write.keyUsage(KEY_USAGE.digitalSignature | KEY_USAGE[bit]));
}

function withoutIssuers(svid: IssuedSvid): IssuedSvid {
  const { der } = svid.certificate;
  return { ...svid, chain: [der], certificatePem: writePem('CERTIFICATE', der) };
}

function accepted(name: string, svid: IssuedSvid): SvidCase {
  return { name, chain: svid.chain, certificatePem: svid.certificatePem, keyPem: svid.keyPem, want: 'accepted' };
}

function refused(name: string, svid: IssuedSvid, want: SvidRefusalCode, clause: string): SvidCase {
  return { ...accepted(name, svid), want, clause };
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
