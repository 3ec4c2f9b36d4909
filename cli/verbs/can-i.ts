/**
 * `postern can-i METHOD PATH`: whether one caller may do one thing, by the engine of the data path, and why. `postern policy explain`
 * is the same with the reason always told.
 */
import { PosternError } from '#base/error.ts';
import type { Explanation } from '#authz/engine/explain.ts';
import type { PathMode } from '#proxy/http/path.ts';

import { EXIT, ExitError } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import { questionOf } from './policy-cases.ts';
import { readDecideQuestion } from './policy-decide-question.ts';
import { CompiledSets } from './policy-decide-sets.ts';
import { readSoundPolicies, writeOutput } from './policy-output.ts';
import type { OutputFormat, PolicyQuery } from './policy-output.ts';
import type { VerbStreams } from './verb.ts';

export interface CanIOptions extends PolicyQuery {
  readonly files: readonly string[];
  /** In the words of policy-cases.ts. */
  readonly request: Readonly<Record<string, unknown>>;
  readonly pathPolicy: PathMode;
  readonly whenNoneSelects: 'allow' | 'deny';
  readonly explain: boolean;
  /** The status says whether it may; else it is 0 for either answer. */
  readonly tellsByStatus: boolean;
  readonly output: OutputFormat;
}

/** 0 for yes and 1 for no, where the status is to tell. */
export async function canI(options: CanIOptions, io: VerbStreams): Promise<ExitStatus> {
  const set = await readSoundPolicies(options.files, options.ignoreKinds, io);
  const complain = (message: string): void => void io.stderr.write(`${message}\n`);
  const sets = new CompiledSets(set, { ...options, engine: 'both', complain });
  const { atMs, input, refusal, workload } = orUsage(() =>
    readDecideQuestion(questionOf(options.request, set), options.pathPolicy),
  );
  const judged = sets.judge(workload, input, atMs ?? options.nowMs);
  const { decision } = judged;
  const isAllowed = refusal === null && decision.effect === 'allow';
  const explanation = options.explain && refusal === null ? judged.explain() : null;
  const told = {
    allowed: isAllowed,
    code: refusal ?? decision.code,
    policy: refusal === null ? decision.policy : null,
    rule: refusal === null ? decision.rule : null,
    ...(explanation === null ? {} : { explain: explanation }),
  };
  const asText = (): string => `${isAllowed ? 'yes' : 'no'}  ${textOf(told, explanation)}\n`;
  writeOutput(told, options.output, asText, io);
  return isAllowed || !options.tellsByStatus ? EXIT.ok : EXIT.other;
}

function textOf(
  { code, policy, rule }: { readonly code: string; readonly policy: string | null; readonly rule: string | null },
  explanation: Explanation | null,
): string {
  const nearest = explanation?.nearest ?? null;
  if (nearest !== null) {
    const { file, line } = nearest.position;
    return `${explanation?.text ?? code}\nat ${file}:${line}`;
  }
  if (explanation !== null) return explanation.text;
  return policy === null ? code : `${policy}${rule === null ? '' : `#${rule}`}`;
}

function orUsage<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof PosternError) throw new ExitError(EXIT.usage, error.message, error.hint);
    throw error;
  }
}
