/**
 * `postern opa eval -b BUNDLE`: what a policy of OPA's decides, by the code that a sidecar evaluates it with: the same limits, the
 * same codes of denial. One input a line; the result is read as a decision of opa-envoy-plugin unless `--raw` asks for it as it is.
 */
import { readEnvoyDecision } from '#authz/opa/envoy-decision.ts';
import { toJson } from '#authz/opa/json.ts';
import { DEFAULT_OPA_LIMITS } from '#authz/opa/limits.ts';
import { chooseEntrypoint, loadProgram } from '#authz/opa/load.ts';
import type { OpaProgram } from '#authz/opa/program.ts';

import { EXIT, ExitError } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import { answerLines, textMember } from '../json-lines.ts';
import type { Question } from '../json-lines.ts';
import { openBundle, orData } from './opa-bundle.ts';
import type { OpaBundleOptions } from './opa-bundle.ts';
import type { VerbStreams } from './verb.ts';

export interface OpaEvalOptions extends OpaBundleOptions {
  readonly entrypoint: string | null;
  /** What the policy takes for the present, RFC 3339; null for the time of each line. */
  readonly at: string | null;
  readonly raw: boolean;
}

/** The members of an answer, `id` apart. */
export type OpaEvalAnswer =
  | {
      readonly decision: 'allow' | 'deny';
      readonly code: string;
      readonly revision: string;
      readonly result: unknown;
      readonly message?: string;
    }
  | { readonly result: unknown }
  | { readonly code: string; readonly message: string };

export async function opaEval(options: OpaEvalOptions, io: VerbStreams): Promise<ExitStatus> {
  const bundle = openBundle(options);
  const program = orData(() => loadProgram(bundle, DEFAULT_OPA_LIMITS));
  const entrypoint = orData(() => chooseEntrypoint(program, options.entrypoint));
  const at = options.at === null ? null : Date.parse(options.at);
  if (Number.isNaN(at)) throw new ExitError(EXIT.usage, `Cannot read the time "${options.at}": wanted RFC 3339`);
  const ask = { program, entrypoint, revision: bundle.manifest.revision, raw: options.raw };
  return answerLines(io, (question) => answer(ask, question, BigInt(at ?? Date.now()) * 1_000_000n));
}

interface Ask {
  readonly program: OpaProgram;
  readonly entrypoint: string;
  readonly revision: string;
  readonly raw: boolean;
}

function answer({ entrypoint, program, raw, revision }: Ask, question: Question, nowNs: bigint): OpaEvalAnswer {
  const outcome = program.evaluate(entrypoint, inputOf(question), nowNs);
  if (!outcome.ok) {
    const { code, message } = outcome;
    return raw ? { code, message } : { decision: 'deny', code, revision, result: null, message };
  }
  const json = toJson(outcome.value);
  const result: unknown = JSON.parse(json);
  if (raw) return { result };
  const decision = readEnvoyDecision(json);
  if (!decision.ok) return { decision: 'deny', code: decision.code, revision, result, message: decision.message };
  return decision.allowed
    ? { decision: 'allow', code: 'allowed_by_rule', revision, result }
    : { decision: 'deny', code: 'denied_by_rule', revision, result };
}

/** `input` as it stands in the line, or `inputText` for one that is to be read as it comes, malformed or not. */
function inputOf(question: Question): string | null {
  if (question['inputText'] !== undefined) return textMember(question, 'inputText');
  return question['input'] === undefined ? null : JSON.stringify(question['input']);
}
