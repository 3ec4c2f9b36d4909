import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';

import { afterAll, describe, expect, test } from 'vitest';

import { createIntermediate, createRoot, issueSvid } from '#certs/authority/authority.ts';
import { writePem } from '#certs/x509/pem.ts';
import { writeRevocationList } from '#certs/x509/write.ts';

import { identityVerify } from './identity-verify.ts';
import type { IdentityVerifyOptions } from './identity-verify.ts';

const HOUR_MS = 3_600_000;
const atMs = Math.floor(Date.now() / 1000) * 1000;
const notAfter = new Date(atMs + HOUR_MS).toISOString().replace('.000Z', 'Z');
const ID = 'spiffe://a.test/ns/x/sa/y';
const root = createRoot({ trustDomain: 'a.test', atMs, lifetimeMs: 2 * HOUR_MS });
const intermediate = createIntermediate(root, { atMs, lifetimeMs: 2 * HOUR_MS });
const svid = issueSvid(intermediate, { spiffeId: ID, atMs, lifetimeMs: HOUR_MS });
const base64 = (ders: readonly Buffer[]): string[] => ders.map((der) => der.toString('base64'));
const question = { id: 'q', chain: base64(svid.chain), bundles: { 'a.test': base64([root.certificate.der]) } };

const folder = mkdtempSync(join(tmpdir(), 'postern-verify-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe('identityVerify() on questions', () => {
  test('answers with the identity', async () => {
    const { status, answers } = await run({}, [question]);
    expect(status).toBe(0);
    expect(answers).toEqual([{ id: 'q', ok: true, spiffeId: ID, notAfter }]);
  });

  const crl = (authority: typeof root, revoked: readonly Buffer[]): string[] =>
    base64([
      writeRevocationList({
        issuer: authority.certificate.subject,
        thisUpdateMs: atMs - 1000,
        nextUpdateMs: atMs + HOUR_MS,
        revoked: revoked.map((serial) => ({ serial, atMs })),
        signer: authority.key,
      }),
    ]);

  test.each([
    { why: 'the chain is empty', more: { chain: [] }, want: { code: 'chain_empty', clause: 'RFC 8446 4.4.2' } },
    { why: 'the leaf is no certificate', more: { chain: ['AAAA'] }, want: { code: 'certificate_malformed' } },
    { why: 'the time is over', more: { at: '2100-01-01T00:00:00Z' }, want: { code: 'expired' } },
    { why: 'the time has an offset', more: { at: '2100-01-01T00:00:00.5+02:00' }, want: { code: 'expired' } },
    { why: 'the depth does not suffice', more: { maxDepth: 0 }, want: { code: 'path_too_deep' } },
    { why: 'there is no bundle', more: { bundles: {} }, want: { code: 'bundle_missing' } },
    { why: 'the bundle is empty', more: { bundles: { 'a.test': [] } }, want: { code: 'bundle_missing' } },
    { why: 'the bundle cannot be read', more: { bundles: { 'a.test': ['AAAA'] } }, want: { code: 'bundle_certificate' } },
    {
      why: 'the leaf is revoked',
      more: { crls: { 'a.test': crl(intermediate, [svid.certificate.serial]) } },
      want: { code: 'revoked' },
    },
    { why: 'the list cannot be read', more: { crls: { 'a.test': ['AAAA'] } }, want: { code: 'crl_malformed' } },
  ])('refuses when $why', async ({ more, want }) => {
    const { status, answers } = await run({}, [{ ...question, ...more }]);
    expect(status).toBe(0);
    const answer: unknown = answers[0];
    expect(answer).toMatchObject({ id: 'q', ok: false, ...want });
    expect(answer).toHaveProperty('clause');
    expect(answer).toHaveProperty('message');
  });

  test.each([
    { why: 'a depth that suffices', more: { maxDepth: 1 } },
    { why: 'a list that lists others', more: { crls: { 'a.test': crl(intermediate, [Buffer.from([1])]) } } },
    { why: 'members that are null', more: { maxDepth: null, at: null, crls: null } },
  ])('accepts with $why', async ({ more }) => {
    const { answers } = await run({}, [{ ...question, ...more }]);
    expect(answers).toMatchObject([{ id: 'q', ok: true }]);
  });

  test.each([
    { why: 'a chain that is no list', more: { chain: 'AAAA' } },
    { why: 'a chain that is not base64', more: { chain: ['*'] }, code: 'question_base64' },
    { why: 'bundles that are no object', more: { bundles: [] } },
    { why: 'a trust domain that is none', more: { bundles: { A: [] } } },
    { why: 'a depth below zero', more: { maxDepth: -1 } },
    { why: 'a time that is none', more: { at: 'yesterday' } },
  ])('cannot understand $why', async ({ more, code = 'question_member' }) => {
    const { status, answers } = await run({}, [{ ...question, ...more }, question]);
    expect(status).toBe(65);
    expect(answers).toMatchObject([
      { id: 'q', error: { code } },
      { id: 'q', ok: true },
    ]);
  });

  test('takes bundles and time of the command where a question brings none', async () => {
    const bundle = [`a.test=${file('root.pem', root.bundlePem)}`];
    const { chain, id } = question;
    const { answers } = await run({ bundle, at: '2100-01-01T00:00:00Z' }, [{ id, chain }]);
    expect(answers).toMatchObject([{ code: 'expired' }]);
  });
});

describe('identityVerify() on files', () => {
  test('answers once for each file', async () => {
    const good = file('good.pem', svid.certificatePem);
    const bare = file('bare.pem', writePem('CERTIFICATE', svid.certificate.der));
    const text = file('text.pem', 'hello');
    const { status, answers } = await run({ bundle: [`a.test=${file('root.pem', root.bundlePem)}`], files: [good, bare, text] });
    expect(status).toBe(0);
    expect(answers).toMatchObject([
      { file: good, ok: true, spiffeId: ID, notAfter },
      { file: bare, ok: false, code: 'issuer_missing', clause: 'X509-SVID 5.1' },
      { file: text, ok: false, code: 'chain_empty' },
    ]);
  });

  test('takes a SPIFFE JWKS for a bundle, and a time', async () => {
    const jwks = { keys: [{ use: 'x509-svid', kty: 'EC', x5c: base64([root.certificate.der]) }] };
    const options = {
      bundle: [`a.test=${file('root.json', JSON.stringify(jwks))}`],
      files: [file('good.pem', svid.certificatePem)],
    };
    expect((await run(options)).answers).toMatchObject([{ ok: true }]);
    expect((await run({ ...options, at: '2100-01-01T00:00:00Z' })).answers).toMatchObject([{ code: 'expired' }]);
  });

  test('says which file cannot be read, and ends with 65', async () => {
    const missing = join(folder, 'missing.pem');
    const { status, answers } = await run({ bundle: [`a.test=${file('root.pem', root.bundlePem)}`], files: [missing] });
    expect(status).toBe(65);
    expect(answers).toMatchObject([{ file: missing, error: { code: 'file_unreadable' } }]);
  });

  test.each([
    { why: 'no bundle', options: { files: ['x.pem'] }, status: 64 },
    { why: 'a bundle without trust domain', options: { bundle: ['x.pem'], files: ['x.pem'] }, status: 64 },
    { why: 'a time that is none', options: { at: 'now' }, status: 64 },
    { why: 'a bundle that is not there', options: { bundle: ['a.test=/nonexistent'] }, status: 65 },
    { why: 'a bundle that is none', options: { bundle: () => [`a.test=${file('text.pem', 'hello')}`] }, status: 65 },
  ])('ends at once with $status for $why', async ({ options, status }) => {
    const bundle = typeof options.bundle === 'function' ? options.bundle() : (options.bundle ?? []);
    await expect(run({ ...options, bundle })).rejects.toMatchObject({ status });
  });
});

async function run(options: Partial<IdentityVerifyOptions>, questions: readonly object[] = []) {
  const collected: Buffer[] = [];
  const stdout = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      collected.push(chunk);
      done();
    },
  });
  const lines = questions.map((each) => JSON.stringify(each)).join('\n');
  const io = { stdin: Readable.from([Buffer.from(lines)]), stdout, stderr: new PassThrough() };
  const status = await identityVerify({ files: [], bundle: [], at: null, ...options }, io);
  const text = Buffer.concat(collected).toString().trimEnd();
  return { status, answers: text.split('\n').map((line): unknown => JSON.parse(line)) };
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}
