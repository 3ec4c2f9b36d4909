/** The field policy of a listener for the policy set in force; made anew only when that set changes. Hot path. */
import type { PolicySnapshot } from '../snapshot.ts';
import { fieldPolicy, type FieldPolicy, type UnderscorePolicy } from './fields.ts';

export class FieldPolicies {
  readonly #underscores: UnderscorePolicy;
  #snapshot: PolicySnapshot | null = null;
  #policy: FieldPolicy;

  constructor(underscores: UnderscorePolicy) {
    this.#underscores = underscores;
    this.#policy = fieldPolicy(underscores, []);
  }

  of(snapshot: PolicySnapshot): FieldPolicy {
    if (snapshot !== this.#snapshot) {
      this.#snapshot = snapshot;
      const { engine, users } = snapshot;
      const names = users === null ? engine.headerNames : [...engine.headerNames, ...users.plan.fieldNames];
      this.#policy = fieldPolicy(this.#underscores, names);
    }
    return this.#policy;
  }
}
