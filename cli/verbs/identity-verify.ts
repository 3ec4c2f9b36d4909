/**
 * `postern identity verify`: verifies X.509-SVID chains with the code that judges peers; from PEM files, or from questions on standard
 * input that bring their own bundles, revocation lists and time.
 */
import { readFileSync } from 'node:fs';

import { PosternError } from '#base/error.ts';
import { makeTrustBundle, parseTrustBundle, TrustBundles } from '#certs/trust-bundle.ts';
import type { TrustBundle } from '#certs/trust-bundle.ts';
import { verifySvid } from '#certs/verify.ts';
import type { VerifyOptions, VerifyResult } from '#certs/verify.ts';
import { readCertificate } from '#certs/x509/certificate.ts';
import { readRevocationList } from '#certs/x509/crl.ts';
import { readPem } from '#certs/x509/pem.ts';

import { EXIT, ExitError } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import { reasonOf } from '../file-error.ts';
import { answerLines, base64ListMember, kindOf, optionalTextMember } from '../json-lines.ts';
import type { Question } from '../json-lines.ts';
import type { VerbStreams } from './verb.ts';

export interface IdentityVerifyOptions {
  /** PEM files, the leaf first in each; none means questions on standard input. */
  readonly files: readonly string[];
  /** `TD=FILE`, a bundle as PEM or SPIFFE JWKS. For questions that bring no bundles of their own. */
  readonly bundle: readonly string[];
  /** RFC 3339; null is now. */
  readonly at: string | null;
}

export async function identityVerify(options: IdentityVerifyOptions, io: VerbStreams): Promise<ExitStatus> {
  const bundles = new TrustBundles(options.bundle.map(readBundle), 0);
  const atMs = options.at === null ? null : timeMs(options.at);
  if (atMs !== null && Number.isNaN(atMs)) {
    throw new ExitError(EXIT.usage, `Cannot read "--at": found "${options.at}", wanted a time as in RFC 3339`);
  }
  if (options.files.length === 0) return answerLines(io, (question) => answer(question, bundles, atMs));
  if (options.bundle.length === 0) {
    throw new ExitError(EXIT.usage, 'Cannot verify files without a trust bundle: give "--bundle TD=FILE"');
  }
  let status: ExitStatus = EXIT.ok;
  for (const file of options.files) {
    const text = readText(file);
    if (typeof text !== 'string') status = EXIT.data;
    const said = typeof text === 'string' ? verifyPem(text, bundles, atMs ?? Date.now()) : { error: text };
    io.stdout.write(`${JSON.stringify({ file, ...said })}\n`);
  }
  return status;
}

function answer(question: Question, bundles: TrustBundles, atMs: number | null): object {
  const chain = base64ListMember(question, 'chain');
  const trusted = question['bundles'] === undefined ? bundles : questionBundles(question);
  if (!(trusted instanceof TrustBundles)) return trusted;
  const options: VerifyOptions = { atMs: questionTime(question) ?? atMs ?? Date.now() };
  const maxDepth = question['maxDepth'] ?? null;
  if (maxDepth === null) return spoken(verifySvid(chain, trusted, options));
  if (typeof maxDepth !== 'number' || !Number.isSafeInteger(maxDepth) || maxDepth < 0) {
    throw unreadable('maxDepth', 'wanted a whole number of intermediate certificates');
  }
  return spoken(verifySvid(chain, trusted, { ...options, maxDepth: Math.min(maxDepth, MAX_DEPTH) }));
}

/** The bundles of a question, or the answer when one of them cannot be trusted: material that cannot be read proves nothing. */
function questionBundles(question: Question): TrustBundles | object {
  const roots = recordMember(question, 'bundles');
  const lists = question['crls'] === undefined || question['crls'] === null ? {} : recordMember(question, 'crls');
  const bundles: TrustBundle[] = [];
  for (const trustDomain of Object.keys(roots)) {
    const anchors = [];
    for (const der of base64ListMember(roots, trustDomain)) {
      const read = readCertificate(der);
      if (!read.ok) return { ok: false, code: 'bundle_certificate', clause: 'RFC 5280 4.1', message: read.message };
      anchors.push(read.certificate);
    }
    const revocationLists = [];
    for (const der of lists[trustDomain] === undefined ? [] : base64ListMember(lists, trustDomain)) {
      const read = readRevocationList(der);
      if (!read.ok) return { ok: false, code: read.code, clause: 'RFC 5280 5.1', message: read.message };
      revocationLists.push(read.list);
    }
    const made = makeTrustBundle(trustDomain, anchors, { revocationLists });
    if (!made.ok) throw unreadable(`bundles.${trustDomain}`, made.message);
    bundles.push(made.bundle);
  }
  return new TrustBundles(bundles, 0);
}

function questionTime(question: Question): number | null {
  const text = optionalTextMember(question, 'at');
  if (text === null) return null;
  const at = timeMs(text);
  if (Number.isNaN(at)) throw unreadable('at', `found ${JSON.stringify(text)}, wanted a time as in RFC 3339`);
  return at;
}

function recordMember(question: Question, name: string): Question {
  const value = question[name];
  if (!isRecord(value)) throw unreadable(name, `found ${kindOf(value)}, wanted an object`);
  return value;
}

function isRecord(value: unknown): value is Question {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function spoken(result: VerifyResult): object {
  if (!result.ok) return result;
  const { spiffeId, notAfterMs } = result.identity;
  return { ok: true, spiffeId, notAfter: new Date(notAfterMs).toISOString().replace('.000Z', 'Z') };
}

function readBundle(option: string): TrustBundle {
  const equals = option.indexOf('=');
  if (equals <= 0) throw new ExitError(EXIT.usage, `Cannot read "--bundle ${option}": wanted TD=FILE`);
  const file = option.slice(equals + 1);
  const text = readText(file);
  if (typeof text !== 'string') throw new ExitError(EXIT.data, text.message);
  const parsed = parseTrustBundle(option.slice(0, equals), text);
  if (!parsed.ok) throw new ExitError(EXIT.data, `${parsed.message} (${file})`);
  return parsed.bundle;
}

function verifyPem(text: string, bundles: TrustBundles, atMs: number): object {
  const pem = readPem(text);
  if (!pem.ok) return { ok: false, code: pem.code, clause: 'RFC 7468 2', message: pem.message };
  const chain = pem.blocks.filter((each) => each.label === 'CERTIFICATE').map((each) => each.der);
  return spoken(verifySvid(chain, bundles, { atMs }));
}

function readText(file: string): string | { readonly code: string; readonly message: string } {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    return {
      code: 'file_unreadable',
      message: `Cannot read "${file}": found ${reasonOf(error)}, wanted a file that can be read`,
    };
  }
}

function timeMs(text: string): number {
  return RFC_3339.test(text) ? Date.parse(text) : Number.NaN;
}

function unreadable(name: string, found: string): PosternError {
  return new PosternError('question_member', `Cannot read "${name}": ${found}`);
}

const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+\-]\d{2}:\d{2})$/v;
/** As many as a chain may hold at all. */
const MAX_DEPTH = 9;
