/**
 * `postern policy decide`: which answer a sidecar of a workload would give to a request, by the code of the data path: its
 * canonicaliser, its compiler and its engine. Each line may name another workload and another time.
 */
import { denyAll } from '#authz/engine/decisions.ts';
import type { Explanation } from '#authz/engine/explain.ts';
import type { ShadowDecision } from '#authz/engine/input.ts';
import { readDescribedPolicies } from '#authz/api/described-apis.ts';
import type { PolicyLoss } from '#authz/policy/losses.ts';
import type { PolicyFault } from '#authz/policy/model.ts';
import type { PolicyReading } from '#authz/policy/read.ts';
import type { PathMode } from '#proxy/http/path.ts';

import { readDecideQuestion } from './policy-decide-question.ts';
import { CompiledSets, constantJudge } from './policy-decide-sets.ts';
import { EXIT } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import { answerLines } from '../json-lines.ts';
import type { Question } from '../json-lines.ts';
import type { VerbStreams } from './verb.ts';

export interface PolicyDecideOptions {
  /** Files and folders of policies. */
  readonly files: readonly string[];
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  readonly pathPolicy: PathMode;
  readonly engine: 'wasm' | 'interpreter' | 'both';
  readonly whenNoneSelects: 'allow' | 'deny';
  readonly explain: boolean;
  readonly ignoreKinds: boolean;
  /** The time of questions that name none, milliseconds since 1970. */
  readonly nowMs: number;
}

/** The members of an answer, `id` apart. */
export interface DecideAnswer {
  readonly decision: 'allow' | 'deny';
  readonly policy: string | null;
  readonly rule: string | null;
  /** One of `DECISION_CODES`, or of the failures of the proxy where a request is refused before it is judged. */
  readonly code: string;
  readonly revision: string;
  readonly audited: readonly string[];
  readonly shadow: readonly ShadowDecision[];
  /** The decision if every policy that is tried out were enforced; only where there is one. */
  readonly ifEnforced?: 'allow' | 'deny';
  /** What the documents say and is not held to; only where there is something. */
  readonly lossy?: readonly PolicyLoss[];
  readonly explain?: Explanation;
}

/** Answers every line of standard input. With policies that do not compile everything is denied, as a sidecar would, and the status is 65. */
export async function policyDecide(options: PolicyDecideOptions, io: VerbStreams): Promise<ExitStatus> {
  const reading = await readDescribedPolicies(options.files, { ignoreKinds: options.ignoreKinds });
  for (const fault of reading.faults) io.stderr.write(`${faultLine(fault)}\n`);
  let isFaulty = reading.faults.length > 0;
  const judge = judgeOf(options, reading, (message) => {
    isFaulty = true;
    io.stderr.write(`${message}\n`);
  });
  const status = await answerLines(io, (question) => answer(judge, question, options));
  return isFaulty ? EXIT.data : status;
}

/** `file:line:column: message (code)`, as compilers write it. */
export function faultLine({ file, line, column, code, message, fix }: PolicyFault): string {
  const place = line === 0 ? file : `${file}:${line}:${column}`;
  return `${place}: ${message} (${code})${fix === null ? '' : `\n  ${fix}`}`;
}

type Judge = CompiledSets['judge'];

function answer(
  judge: Judge,
  question: Question,
  { explain: isExplained, nowMs, pathPolicy }: PolicyDecideOptions,
): DecideAnswer {
  const { workload, input, atMs, refusal } = readDecideQuestion(question, pathPolicy);
  const judged = judge(workload, input, atMs ?? nowMs);
  if (refusal !== null) {
    const { revision } = judged.decision;
    return { decision: 'deny', policy: null, rule: null, code: refusal, revision, audited: [], shadow: [] };
  }
  const { audited = [], code, effect, policy, revision, rule, shadow = [] } = judged.decision;
  return {
    decision: effect,
    policy,
    rule,
    code,
    revision,
    audited,
    shadow,
    ...(judged.ifEnforced === null ? {} : { ifEnforced: judged.ifEnforced.effect }),
    ...(judged.losses.length === 0 ? {} : { lossy: judged.losses }),
    ...(isExplained ? { explain: judged.explain() } : {}),
  };
}

function judgeOf(options: PolicyDecideOptions, reading: PolicyReading, complain: (message: string) => void): Judge {
  const constant = (code: 'policy_invalid' | 'policy_missing'): Judge => {
    const judge = constantJudge(denyAll(code));
    return (_workload, input) => judge(input);
  };
  if (reading.faults.length > 0) return constant('policy_invalid');
  if (reading.documents.every(({ isIgnored }) => isIgnored)) return constant('policy_missing');
  const sets = new CompiledSets(reading.set, { ...options, complain });
  return (workload, input, nowMs) => sets.judge(workload, input, nowMs);
}
