/** `plan.json` as a program. */
import type { OpaLimits } from '../limits.ts';
import { Meter } from '../meter.ts';
import { denied } from '../outcome.ts';
import type { OpaOutcome } from '../outcome.ts';
import { denialOf, readInput, resultOf } from '../program.ts';
import type { OpaProgram } from '../program.ts';
import { RegoSet } from '../value.ts';
import type { RegoValue } from '../value.ts';
import { compilePlan } from './compile.ts';
import type { CompiledPlan } from './compile.ts';
import { readPlan } from './plan.ts';
import type { Run } from './step.ts';

/** @throws {PosternError} `opa_plan_invalid`, `opa_builtin_refused` */
export function loadPlanProgram(bytes: Uint8Array, data: RegoValue, limits: OpaLimits): OpaProgram {
  return new PlanProgram(compilePlan(readPlan(bytes)), data, limits);
}

class PlanProgram implements OpaProgram {
  readonly kind = 'plan';
  readonly entrypoints: readonly string[];
  readonly #plans: ReadonlyMap<string, CompiledPlan>;
  readonly #data: RegoValue;
  readonly #limits: OpaLimits;

  constructor(plans: ReadonlyMap<string, CompiledPlan>, data: RegoValue, limits: OpaLimits) {
    this.#plans = plans;
    this.#data = data;
    this.#limits = limits;
    this.entrypoints = [...plans.keys()].toSorted();
  }

  evaluate(entrypoint: string, input: string | null, nowNs: bigint): OpaOutcome {
    const plan = this.#plans.get(entrypoint);
    if (plan === undefined) return denied('opa_undefined', `the policy has no entry point "${entrypoint}"`);
    const read = readInput(input, this.#limits);
    if (!read.ok) return read;
    const meter = new Meter(this.#limits.fuel, this.#limits.memoryBytes);
    const run: Run = { builtins: { meter, nowNs }, results: new RegoSet(), memo: new Map(), depth: 0 };
    try {
      plan(read.value, this.#data, run);
      return resultOf(run.results);
    } catch (error) {
      return denialOf(error);
    }
  }
}
