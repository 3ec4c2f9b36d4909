/**
 * Tries a new module before it is put in force: requests made from its own policies go through the module and through the
 * interpreter, and any difference refuses the module. A miscompiled policy so never decides anything.
 */
import { PosternError } from '#base/error.ts';

import type { CompiledPolicy } from '../plan/compiled.ts';
import type { EngineOptions } from './load.ts';
import { loadEngine } from './load.ts';
import type { Engine } from './engine.ts';
import { readModel } from './explain.ts';
import type { AuthzInput, Decision } from './input.ts';
import { interpret } from './interpreter.ts';
import { SampleMaker, seededRandom } from './samples.ts';

export interface SelfTestOptions extends EngineOptions {
  /** Requests to try. */
  readonly samples: number;
  readonly seed: number;
}

/** @throws {PosternError} `policy_selftest_failed` when module and interpreter differ */
export function selfTest(compiled: CompiledPolicy, options: SelfTestOptions): void {
  const set = readModel(compiled.model);
  const engine = loadEngine(compiled, options);
  const maker = new SampleMaker(set, seededRandom(options.seed));
  for (let index = 0; index < options.samples; index++) {
    const input = maker.next();
    const difference = compareOnce(engine, input, interpret(set, input, { ...options, revision: compiled.revision }));
    if (difference === null) continue;
    throw new PosternError(
      'policy_selftest_failed',
      `Cannot put policy "${compiled.revision}" in force: sample ${index} of seed ${options.seed} ${difference}`,
      'This is a fault of the compiler: report it with the policies',
    );
  }
}

/** Decides by an engine as the data path does. */
export function decideOnce(engine: Engine, input: AuthzInput): Decision {
  const connection = engine.classify(input.connection);
  const { providers, request } = input;
  return request === null ? engine.decideConnection(connection, providers) : engine.decide(connection, request, providers);
}

/** How two decisions differ, or null. */
export function differenceOf(left: Decision, right: Decision): string | null {
  const isSame =
    left.effect === right.effect &&
    left.code === right.code &&
    left.policy === right.policy &&
    left.rule === right.rule &&
    reported(left) === reported(right);
  return isSame ? null : `is ${told(left)} by the module and ${told(right)} by the interpreter`;
}

function compareOnce(engine: Engine, input: AuthzInput, wanted: Decision): string | null {
  return differenceOf(decideOnce(engine, input), wanted);
}

function told(made: Decision): string {
  const { code, effect, policy, rule } = made;
  return `${effect} (${code}${policy === null ? '' : `, ${policy}#${rule}`}${reported(made)})`;
}

function reported({ audited, shadow }: Decision): string {
  return audited === undefined && shadow === undefined ? '' : `, ${JSON.stringify([audited, shadow])}`;
}
