/**
 * `postern identity parse`: reads SPIFFE IDs, or with `"as":"trust-domain"` trust domains, with the parser that judges peers.
 */
import { PosternError } from '#base/error.ts';
import { parseSpiffeId, parseTrustDomain } from '#certs/spiffe-id.ts';

import type { ExitStatus } from '../exit.ts';
import { answerLines, kindOf, optionalTextMember, textMember } from '../json-lines.ts';
import type { Question } from '../json-lines.ts';
import type { VerbStreams } from './verb.ts';

export type IdentityParseOptions = Readonly<Record<string, never>>;

export async function identityParse(_options: IdentityParseOptions, io: VerbStreams): Promise<ExitStatus> {
  return answerLines(io, answer);
}

function answer(question: Question): object {
  const text = textMember(question, 'in');
  const kind = optionalTextMember(question, 'as') ?? 'spiffe-id';
  switch (kind) {
    case 'spiffe-id': {
      const parsed = parseSpiffeId(text);
      return parsed.ok ? { ok: true, trustDomain: parsed.id.trustDomain, path: parsed.id.path } : parsed;
    }
    case 'trust-domain':
      return parseTrustDomain(text);
    default: {
      const found = `found ${kindOf(kind)} ${JSON.stringify(kind)}, wanted "spiffe-id" or "trust-domain"`;
      throw new PosternError('question_member', `Cannot read "as": ${found}`);
    }
  }
}
