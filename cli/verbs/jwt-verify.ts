/** `postern jwt verify`: proves tokens from standard input against an issuer's keys, with the code of the data path. */
import { readFileSync } from 'node:fs';

import { JWT_CODES } from '#certs/jwt/codes.ts';
import { readKeySet, type KeySet } from '#certs/jwt/key-set.ts';
import { verifyToken } from '#certs/jwt/verify-token.ts';

import { EXIT, ExitError } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import { reasonOf } from '../file-error.ts';
import { answerLines, textMember } from '../json-lines.ts';
import type { Question } from '../json-lines.ts';
import type { VerbStreams } from './verb.ts';

export interface JwtVerifyOptions {
  /** File of the issuer's keys (RFC 7517). */
  readonly jwks: string;
  /** Null takes any issuer. */
  readonly issuer: string | null;
  readonly audience: readonly string[];
  /** Milliseconds; null is the moment of each question. */
  readonly atMs: number | null;
}

export async function jwtVerify(
  { jwks, issuer, audience: audiences, atMs }: JwtVerifyOptions,
  io: VerbStreams,
): Promise<ExitStatus> {
  const keys = readKeys(jwks);
  return answerLines(io, (question: Question) => {
    const result = verifyToken(textMember(question, 'token'), keys, { issuer, audiences }, atMs ?? Date.now());
    if (!result.ok) return { ok: false, code: result.code, status: 401, message: JWT_CODES[result.code] };
    const { claims, issuer: said, subject } = result.token;
    return { ok: true, issuer: said, subject, claims };
  });
}

function readKeys(file: string): KeySet {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ExitError(EXIT.usage, `Cannot read "${file}": ${reasonOf(error)}`);
  }
  const keys = readKeySet(text);
  if (keys === null) {
    throw new ExitError(EXIT.usage, `Cannot read "${file}": found no JSON object with a list "keys", each with an id of its own`);
  }
  return keys;
}
