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
import type { Strategy } from '#authz/plan/plan.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';

import { canAskOpa, loadOpaShell } from './opa-shell.ts';
import { canAskProxyWasm, loadProxyWasmShell } from './proxy-wasm-shell.ts';

/** Null for an input that the engine cannot be asked. */
export type Decide = (input: AuthzInput) => Decision | null;

export interface SuiteEngine {
  readonly name: string;
  /** It names no policy and no rule when it allows. */
  readonly isTerse?: boolean;
  /** Null for a set that the engine cannot express. */
  readonly load: (set: WorkloadPolicies, options: InterpreterOptions) => Decide | null;
}

export const ENGINES: readonly SuiteEngine[] = [
  { name: 'interpreter', load: (set, options) => (input) => interpret(set, input, options) },
  { name: 'index', load: (set, options) => loadModule(set, options, 'index') },
  { name: 'forest', load: (set, options) => loadModule(set, options, 'forest') },
  { name: 'opa', load: (set, options) => expressible(() => loadOpa(set, options)) },
  { name: 'proxy-wasm', isTerse: true, load: (set, options) => expressible(() => loadProxyWasm(set, options)) },
];

function loadModule(set: WorkloadPolicies, options: InterpreterOptions, strategy: Strategy): Decide {
  const engine = loadEngine(compileSelected(set, 1, strategy), options);
  return (input) => decideOnce(engine, input);
}

function loadOpa(set: WorkloadPolicies, { whenNoneSelects }: InterpreterOptions): Decide {
  const { headerNames } = compileSelected(set, 1);
  const decide = loadOpaShell(set, whenNoneSelects, headerNames);
  return (input) => (canAskOpa(input, headerNames) ? decide(input) : null);
}

function loadProxyWasm(set: WorkloadPolicies, { whenNoneSelects }: InterpreterOptions): Decide {
  const { headerNames } = compileSelected(set, 1);
  const decide = loadProxyWasmShell(set, whenNoneSelects, headerNames);
  return (input) => (canAskProxyWasm(input) ? decide(input) : null);
}

function expressible(load: () => Decide): Decide | null {
  try {
    return load();
  } catch (error) {
    if (error instanceof PosternError && error.code === 'policy_not_expressible') return null;
    throw error;
  }
}
