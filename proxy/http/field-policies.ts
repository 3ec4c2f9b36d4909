/** The field policy of a listener for the policy set in force; made anew only when that set changes. Hot path. */
import type { Engine } from '#authz/engine/engine.ts';
import { fieldPolicy, type FieldPolicy, type UnderscorePolicy } from './fields.ts';

export class FieldPolicies {
  readonly #underscores: UnderscorePolicy;
  #engine: Engine | null = null;
  #policy: FieldPolicy;

  constructor(underscores: UnderscorePolicy) {
    this.#underscores = underscores;
    this.#policy = fieldPolicy(underscores, []);
  }

  of(engine: Engine): FieldPolicy {
    if (engine !== this.#engine) {
      this.#engine = engine;
      this.#policy = fieldPolicy(this.#underscores, engine.headerNames);
    }
    return this.#policy;
  }
}
