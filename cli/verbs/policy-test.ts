/**
 * `postern policy test`: cases beside the policies, judged by the engine of the data path, and how good the cases are: each rule is
 * left out and widened, one at a time, and some case must fail.
 */
import { interpret } from '#authz/engine/interpreter.ts';
import type { AuthzInput } from '#authz/engine/input.ts';
import { mutated, mutationsOf } from '#authz/analyse/mutations.ts';
import type { Workload } from '#authz/policy/model.ts';
import { selectPolicies } from '#authz/policy/select.ts';
import type { PolicySet } from '#authz/policy/policy-set.ts';
import type { PathMode } from '#proxy/http/path.ts';

import { EXIT, ExitError } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import { caseFilesIn, readCases } from './policy-cases.ts';
import type { PolicyCase } from './policy-cases.ts';
import { readDecideQuestion } from './policy-decide-question.ts';
import { CompiledSets } from './policy-decide-sets.ts';
import { readSoundPolicies, writeOutput } from './policy-output.ts';
import type { OutputFormat, PolicyQuery } from './policy-output.ts';
import { junit, testTable } from './policy-test-report.ts';
import type { CaseResult, TestReport } from './policy-test-report.ts';
import type { VerbStreams } from './verb.ts';

export interface PolicyTestOptions extends PolicyQuery {
  readonly files: readonly string[];
  readonly pathPolicy: PathMode;
  readonly whenNoneSelects: 'allow' | 'deny';
  readonly output: OutputFormat | 'junit';
  /** Whether faults are planted at all. */
  readonly mutations: boolean;
  /** Percent of planted faults that must be noticed; 0 asks for nothing. */
  readonly minScore: number;
}

/** 0 when every case passes and the score is high enough, else 79; 65 when a file cannot be understood, or there is no case. */
export async function policyTest(options: PolicyTestOptions, io: VerbStreams): Promise<ExitStatus> {
  const set = await readSoundPolicies(options.files, options.ignoreKinds, io);
  const cases = caseFilesIn(options.files).flatMap((file) => readCases(file, set));
  if (cases.length === 0)
    throw new ExitError(EXIT.data, 'Cannot test the policies: found no case', 'Write cases in files *_test.yaml');
  const judged = judgeAll(cases, set, options, io);
  const failed = judged.filter(({ result }) => !result.ok).length;
  const mutations = failed > 0 || !options.mutations ? null : score(judged, set, options);
  const report: TestReport = { cases: judged.map(({ result }) => result), passed: cases.length - failed, failed, mutations };
  if (options.output === 'junit') io.stdout.write(junit(report));
  else writeOutput(plain(report), options.output, () => testTable(report), io);
  const isLow = mutations !== null && mutations.scorePercent < options.minScore;
  return failed > 0 || isLow ? EXIT.findings : EXIT.ok;
}

interface Judged {
  readonly result: CaseResult;
  readonly workload: Workload;
  /** Null for a request that is refused before any policy is asked. */
  readonly input: AuthzInput | null;
  readonly atMs: number;
}

function judgeAll(cases: readonly PolicyCase[], set: PolicySet, options: PolicyTestOptions, io: VerbStreams): readonly Judged[] {
  const sets = new CompiledSets(set, {
    ...options,
    engine: 'wasm',
    complain: (message) => void io.stderr.write(`${message}\n`),
  });
  return cases.map((given) => {
    const { atMs, input, refusal, workload } = readDecideQuestion(given.question, options.pathPolicy);
    const at = atMs ?? options.nowMs;
    const { decision } = sets.judge(workload, input, at);
    const decidedBy = refusal !== null || decision.policy === null ? null : `${decision.policy}#${decision.rule ?? ''}`;
    const effect = refusal === null ? decision.effect : 'deny';
    const ok = effect === given.expect && (given.rule === null || isNamed(decidedBy, given.rule));
    const result: CaseResult = { ...given, ok, decision: effect, code: refusal ?? decision.code, decidedBy };
    return { result, workload, input: refusal === null ? input : null, atMs: at };
  });
}

function isNamed(decidedBy: string | null, rule: string): boolean {
  return decidedBy !== null && (decidedBy === rule || decidedBy.slice(decidedBy.indexOf('#') + 1) === rule);
}

function score(judged: readonly Judged[], set: PolicySet, options: PolicyTestOptions): NonNullable<TestReport['mutations']> {
  // Cases of one workload at one time share what is selected.
  const groups = [...Map.groupBy(judged, ({ atMs, workload }) => JSON.stringify([workload, atMs])).values()].flatMap(
    (members) => {
      const [first] = members;
      return first === undefined
        ? []
        : [{ members, selected: selectPolicies(set, first.workload, { ...options, nowMs: first.atMs }) }];
    },
  );
  const [namespace = 'default'] = judged.map(({ workload }) => workload.namespace);
  const planted = mutationsOf(set.policies, namespace);
  const survivors = planted.filter(
    (mutation) =>
      !groups.some(({ members, selected }) => {
        const faulty = mutated(selected, mutation);
        return faulty !== null && members.some((one) => notices(one, faulty, options));
      }),
  );
  const noticed = planted.length - survivors.length;
  return {
    planted: planted.length,
    noticed,
    scorePercent: planted.length === 0 ? 100 : Math.floor((100 * noticed) / planted.length),
    survivors,
  };
}

function notices(
  { input, result }: Judged,
  faulty: ReturnType<typeof selectPolicies>,
  { whenNoneSelects }: PolicyTestOptions,
): boolean {
  if (input === null) return false;
  const { effect, policy, rule } = interpret(faulty, input, { revision: '', whenNoneSelects });
  if (effect !== result.expect) return true;
  return result.rule !== null && !isNamed(policy === null ? null : `${policy}#${rule ?? ''}`, result.rule);
}

function plain({ cases, failed, mutations, passed }: TestReport): object {
  const told = cases.map(({ code, decidedBy, decision, expect, file, line, name, ok, rule }) => ({
    name,
    file,
    line,
    ok,
    expect,
    rule,
    decision,
    code,
    decidedBy,
  }));
  return { passed, failed, cases: told, mutations };
}
