import { describe, expect, test } from 'vitest';

import { bundleOf, intact, revocationListOf, swap, unknownExtension } from '#test/support/authority.ts';

import { createIntermediate, createRoot, issueSvid } from '../authority/authority.ts';
import type { Authority, IssuedSvid, Overrides } from '../authority/authority.ts';
import { TrustBundles } from '../trust-bundle.ts';
import { verifySvid } from '../verify.ts';
import type { VerifyResult } from '../verify.ts';
import type { RevocationList } from './crl.ts';
import { KEY_USAGE } from './extensions.ts';
import * as write from './write.ts';
import type { RevocationListFields } from './write.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const ID = 'spiffe://a.test/ns/prod/sa/web';
/** A whole second, as certificates have it. */
const atMs = Math.floor(Date.now() / 1000) * 1000;

const root = createRoot({ trustDomain: 'a.test', atMs, lifetimeMs: DAY_MS });
const foreign = createRoot({ trustDomain: 'b.test', atMs, lifetimeMs: DAY_MS });

describe('revocation', () => {
  const intermediate = below(root);
  const svid = leaf(intermediate);
  const other = leaf(intermediate);
  const listed = { serial: svid.certificate.serial, atMs };
  const ofRoot = crl(root, { revoked: [{ serial: intermediate.certificate.serial, atMs }] });

  test.each<{ why: string; lists: readonly RevocationList[]; want: true | string }>([
    { why: 'the leaf is listed', lists: [crl(intermediate, { revoked: [listed] })], want: 'revoked' },
    {
      why: 'another leaf is listed',
      lists: [crl(intermediate, { revoked: [{ serial: other.certificate.serial, atMs }] })],
      want: true,
    },
    { why: 'the list is empty', lists: [crl(intermediate)], want: true },
    { why: 'the intermediate is listed', lists: [ofRoot], want: 'revoked' },
    {
      why: 'the second list of the issuer lists it',
      lists: [crl(intermediate), crl(intermediate, { revoked: [listed] })],
      want: 'revoked',
    },
    { why: "another authority's list lists the serial", lists: [crl(foreign, { revoked: [listed] })], want: true },
    {
      why: 'the list is out of date',
      lists: [crl(intermediate, { thisUpdateMs: atMs - HOUR_MS, nextUpdateMs: atMs - 1000 })],
      want: 'crl_expired',
    },
    {
      why: 'an out-of-date list lists it',
      lists: [crl(intermediate, { revoked: [listed], nextUpdateMs: atMs - 1000 })],
      want: 'revoked',
    },
    { why: 'the list begins now', lists: [crl(intermediate, { thisUpdateMs: atMs })], want: true },
    { why: 'the list ends now', lists: [crl(intermediate, { nextUpdateMs: atMs })], want: true },
    { why: 'the list is of the future', lists: [crl(intermediate, { thisUpdateMs: atMs + 1000 })], want: 'crl_expired' },
    { why: 'the list has no end', lists: [crl(intermediate, { nextUpdateMs: null })], want: true },
    { why: 'the list is forged', lists: [crl(intermediate, { signer: foreign.key })], want: 'crl_invalid' },
    {
      why: 'the list has an unknown extension that is not critical',
      lists: [crl(intermediate, { extensions: [unknownExtension(false)] })],
      want: true,
    },
    {
      why: 'the list has a number that is marked critical',
      lists: [crl(intermediate, { extensions: [{ oid: '2.5.29.20', isCritical: true, value: Buffer.from([2, 1, 1]) }] })],
      want: true,
    },
    {
      why: 'the list has an unknown critical extension',
      lists: [crl(intermediate, { extensions: [unknownExtension(true)] })],
      want: 'crl_invalid',
    },
  ])('when $why', ({ lists, want }) => {
    const trusted = new TrustBundles([bundleOf('a.test', [root], lists)], 0);
    expect(verdict(verifySvid(svid.chain, trusted, { atMs }))).toBe(want);
  });

  test('needs an issuer that may sign lists', () => {
    const silent = below(root, 'silent', swap(write.keyUsage(KEY_USAGE.keyCertSign)));
    const trusted = new TrustBundles([bundleOf('a.test', [root], [crl(silent)])], 0);
    expect(verdict(verifySvid(leaf(silent).chain, trusted, { atMs }))).toBe('crl_invalid');
  });

  test("ends an identity with its issuer's list", () => {
    const list = crl(intermediate, { nextUpdateMs: atMs + 60_000 });
    const trusted = new TrustBundles([bundleOf('a.test', [root], [list])], 0);
    expect(verifySvid(svid.chain, trusted, { atMs })).toMatchObject({ identity: { notAfterMs: atMs + 60_000 } });
  });

  test('of one domain says nothing of another', () => {
    const trusted = new TrustBundles([bundleOf('a.test', [root], [crl(root)]), bundleOf('b.test', [foreign])], 0);
    const { chain } = leaf(foreign, intact, 'spiffe://b.test/x');
    expect(verdict(verifySvid(chain, trusted, { atMs }))).toBe(true);
  });
});

function leaf(authority: Authority, overrides: Overrides = intact, spiffeId = ID): IssuedSvid {
  return issueSvid(authority, { spiffeId, atMs, lifetimeMs: HOUR_MS, overrides });
}

function below(parent: Authority, name = 'one', overrides: Overrides = intact): Authority {
  return createIntermediate(parent, { atMs, lifetimeMs: DAY_MS, name, overrides });
}

function crl(authority: Authority, fields: Partial<RevocationListFields> = {}): RevocationList {
  return revocationListOf(authority, atMs, fields);
}

function verdict(result: VerifyResult): true | string {
  return result.ok ? true : result.code;
}
