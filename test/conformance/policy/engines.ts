/**
 * The engines that every case of the data-driven suite is asked of. The interpreter is the reference. An engine that cannot take a
 * set of policies says so by the compiler's code, and only those codes are passed over.
 */
import { PosternError } from '#base/error.ts';
import type { AuthzInput, Decision } from '#authz/engine/input.ts';
import { interpret } from '#authz/engine/interpreter.ts';
import type { InterpreterOptions } from '#authz/engine/interpreter.ts';
import { loadEngine } from '#authz/engine/load.ts';
import { decideOnce } from '#authz/engine/self-test.ts';
import { compileSelected } from '#authz/plan/compile.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';

export type Decide = (input: AuthzInput) => Decision;

export interface SuiteEngine {
  readonly name: string;
  /** Null for a set that the engine cannot express. */
  load(set: WorkloadPolicies, options: InterpreterOptions): Decide | null;
}

export const ENGINES: readonly SuiteEngine[] = [
  { name: 'interpreter', load: (set, options) => (input) => interpret(set, input, options) },
  { name: 'wasm', load: loadModule },
];

function loadModule(set: WorkloadPolicies, options: InterpreterOptions): Decide | null {
  try {
    const engine = loadEngine(compileSelected(set, 1), options);
    return (input) => decideOnce(engine, input);
  } catch (error) {
    if (error instanceof PosternError && error.code === 'policy_not_compilable') return null;
    throw error;
  }
}
