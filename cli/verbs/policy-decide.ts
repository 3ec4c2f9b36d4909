/**
 * `postern policy decide`: which answer a sidecar of a workload would give to a request, by the code of the data path: its
 * canonicaliser, its compiler and its engine. Each line may name another workload; compiled sets are kept, the least recently used
 * ones dropped.
 */
import { policiesOf, compilePolicies } from '#authz/plan/compile.ts';
import { denyAll } from '#authz/engine/decisions.ts';
import type { Engine } from '#authz/engine/engine.ts';
import { explain } from '#authz/engine/explain.ts';
import type { Explanation } from '#authz/engine/explain.ts';
import type { AuthzInput, Decision } from '#authz/engine/input.ts';
import { interpret } from '#authz/engine/interpreter.ts';
import { loadEngine } from '#authz/engine/load.ts';
import { decideOnce, differenceOf } from '#authz/engine/self-test.ts';
import { readPolicyFiles } from '#authz/policy/files.ts';
import type { Policy, PolicyFault, Workload } from '#authz/policy/model.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';
import type { PathMode } from '#proxy/http/path.ts';

import { readDecideQuestion } from './policy-decide-question.ts';
import { EXIT, ExitError } from '../exit.ts';
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
  readonly shadow: readonly object[];
  readonly explain?: Explanation;
}

/** Answers every line of standard input. With policies that do not compile everything is denied, as a sidecar would, and the status is 65. */
export async function policyDecide(options: PolicyDecideOptions, io: VerbStreams): Promise<ExitStatus> {
  const { policies, faults } = readPolicyFiles(options.files, { ignoreKinds: options.ignoreKinds });
  for (const fault of faults) io.stderr.write(`${faultLine(fault)}\n`);
  const judge = judgeOf(options, policies, faults);
  const status = await answerLines(io, (question) => answer(judge, question, options));
  return faults.length > 0 ? EXIT.data : status;
}

/** `file:line:column: message (code)`, as compilers write it. */
export function faultLine({ file, line, column, code, message, fix }: PolicyFault): string {
  const place = line === 0 ? file : `${file}:${line}:${column}`;
  return `${place}: ${message} (${code})${fix === null ? '' : `\n  ${fix}`}`;
}

function answer(judge: Judge, question: Question, { pathPolicy, explain: isExplained }: PolicyDecideOptions): DecideAnswer {
  const { workload, input, refusal } = readDecideQuestion(question, pathPolicy);
  const judged = judge(workload, input);
  if (refusal !== null) {
    const { revision } = judged.decision;
    return { decision: 'deny', policy: null, rule: null, code: refusal, revision, audited: [], shadow: [] };
  }
  const { effect, code, policy, rule, revision } = judged.decision;
  const told = { decision: effect, policy, rule, code, revision, audited: [], shadow: [] };
  return isExplained ? { ...told, explain: judged.explain() } : told;
}

type Judge = (workload: Workload, input: AuthzInput) => Judgement;

interface Judgement {
  readonly decision: Decision;
  explain(): Explanation;
}

function judgeOf(options: PolicyDecideOptions, policies: readonly Policy[], faults: readonly PolicyFault[]): Judge {
  if (faults.length > 0) return constantJudge(denyAll('policy_invalid'));
  if (policies.length === 0) return constantJudge(denyAll('policy_missing'));
  const sets = new CompiledSets(policies, options);
  const { engine, whenNoneSelects } = options;
  return (workload, input) => {
    const compiled = sets.of(workload);
    const slowly = (): Decision => interpret(compiled.set, input, { revision: compiled.revision, whenNoneSelects });
    const made = engine === 'interpreter' ? slowly() : decideOnce(compiled.engine, input);
    if (engine === 'both') {
      const difference = differenceOf(made, slowly());
      if (difference !== null) throw engineDifference(difference, workload, input);
    }
    return { decision: made, explain: () => explain(compiled.set, input, whenNoneSelects) };
  };
}

function constantJudge(engine: Engine): Judge {
  return (_workload, input) => {
    const made = decideOnce(engine, input);
    const text = `${made.effect === 'deny' ? 'denied' : 'allowed'}: ${made.code}`;
    return { decision: made, explain: () => ({ effect: made.effect, code: made.code, matched: null, nearest: null, text }) };
  };
}

function engineDifference(difference: string, workload: Workload, input: AuthzInput): ExitError {
  const request = input.request === null ? null : { ...input.request, fields: undefined };
  const told = JSON.stringify({ workload, connection: input.connection, request });
  return new ExitError(EXIT.internal, `Cannot answer: the engines differ, the decision ${difference}; request ${told}`);
}

interface CompiledSet {
  readonly set: WorkloadPolicies;
  readonly engine: Engine;
  readonly revision: string;
}

/** Compiled sets by workload, at most `MAX_SETS`. */
class CompiledSets {
  readonly #policies: readonly Policy[];
  readonly #options: PolicyDecideOptions;
  /** In order of use, the oldest first. */
  readonly #sets = new Map<string, CompiledSet>();

  constructor(policies: readonly Policy[], options: PolicyDecideOptions) {
    this.#policies = policies;
    this.#options = options;
  }

  of(workload: Workload): CompiledSet {
    const key = JSON.stringify(workload);
    const known = this.#sets.get(key);
    const set = known ?? this.#compile(workload);
    if (known !== undefined) this.#sets.delete(key);
    this.#sets.set(key, set);
    const [oldest] = this.#sets.keys();
    if (this.#sets.size > MAX_SETS && oldest !== undefined) this.#sets.delete(oldest);
    return set;
  }

  #compile(workload: Workload): CompiledSet {
    const set = policiesOf(this.#policies, workload, this.#options);
    const compiled = compilePolicies(this.#policies, workload, this.#options);
    const engine = loadEngine(compiled, { whenNoneSelects: this.#options.whenNoneSelects });
    return { set, engine, revision: compiled.revision };
  }
}

const MAX_SETS = 128;
