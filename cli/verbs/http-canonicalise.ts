/**
 * `postern http canonicalise`: the form of a request's target that a sidecar judges, logs and forwards, or why it refuses it, by the
 * very code of the data path (proxy/http/canonicalise.ts).
 */
import { PosternError } from '#base/error.ts';
import { CanonicalTarget, canonicaliseText } from '#proxy/http/canonicalise.ts';
import type { PathMode } from '#proxy/http/path.ts';
import { failureRow } from '#proxy/failure.ts';

import { answerLines, kindOf, optionalTextMember, textMember } from '../json-lines.ts';
import type { LineStreams, Question } from '../json-lines.ts';

export interface HttpCanonicaliseOptions {
  readonly pathPolicy: PathMode;
}

/** The members of an answer, `id` apart. */
export type CanonicaliseAnswer =
  | {
      readonly ok: true;
      readonly method: string;
      readonly path: string;
      readonly query: string | null;
      readonly authority: string;
      readonly port: number | null;
    }
  | { readonly ok: false; readonly code: string; readonly status: number; readonly message: string };

/** Answers every line of standard input; resolves to the exit status. */
export async function run(options: HttpCanonicaliseOptions, streams: LineStreams): Promise<number> {
  return answerLines(streams, (question) => answer(options.pathPolicy, question));
}

function answer(mode: PathMode, question: Question): CanonicaliseAnswer {
  const method = textMember(question, 'method');
  const target = textMember(question, 'target');
  const failure = canonicaliseText(
    {
      method,
      target,
      hosts: hostsMember(question),
      authority: optionalTextMember(question, 'authority'),
      scheme: optionalTextMember(question, 'scheme') ?? 'http',
    },
    mode,
    TARGET,
  );
  if (failure !== null) {
    const row = failureRow(failure);
    return { ok: false, code: failure, status: row.http, message: `Cannot canonicalise "${method} ${target}": ${row.what}` };
  }
  const { host, path, port, queryEnd, queryStart } = TARGET;
  const query = queryEnd > queryStart ? target.slice(queryStart + 1, queryEnd) : null;
  return { ok: true, method, path, query, authority: host, port };
}

function hostsMember(question: Question): string[] {
  const value = question['hosts'] ?? [];
  if (!Array.isArray(value)) {
    throw new PosternError('question_member', `Cannot read "hosts": found ${kindOf(value)}, wanted a list`);
  }
  return value.map((host: unknown, index) => {
    if (typeof host === 'string') return host;
    throw new PosternError('question_member', `Cannot read "hosts[${index}]": found ${kindOf(host)}, wanted a string`);
  });
}

const TARGET = new CanonicalTarget();
