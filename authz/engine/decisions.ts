/** The decisions that an engine can hand out, made once and frozen, and the engines that have but one. */
import type { ClassifiedConnection, Engine } from './engine.ts';
import type { Decision, DecisionCode } from './input.ts';

export type WhenNoneSelects = 'allow' | 'deny';

/** Denies everything, for want of policies that could decide. */
export function denyAll(code: DecisionCode): Engine {
  return new ConstantEngine(decision('deny', code, NO_REVISION));
}

/** Allows everything, because the configuration says so. */
export function allowAll(): Engine {
  return new ConstantEngine(decision('allow', 'allowed_all', NO_REVISION));
}

/** An engine that need not look at anything. */
export function constantEngine(made: Decision): Engine {
  return new ConstantEngine(made);
}

export function decision(
  effect: 'allow' | 'deny',
  code: DecisionCode,
  revision: string,
  policy: string | null = null,
  rule: string | null = null,
): Decision {
  return Object.freeze({ effect, code, policy, rule, revision });
}

/** What is decided when no policy selects the workload. */
export function noneSelected(whenNoneSelects: WhenNoneSelects, revision: string): Decision {
  return whenNoneSelects === 'allow'
    ? decision('allow', 'allowed_no_policy', revision)
    : decision('deny', 'denied_no_policy', revision);
}

class ConstantEngine implements Engine {
  readonly revision: string;
  readonly readsQuery = false;
  readonly headerNames: readonly string[] = [];
  readonly providers: readonly string[] = [];
  readonly #decision: Decision;
  readonly #connection: ClassifiedConnection;

  constructor(made: Decision) {
    this.revision = made.revision;
    this.#decision = made;
    this.#connection = Object.freeze({ engine: this });
  }

  readsHttp(): boolean {
    return false;
  }

  classify(): ClassifiedConnection {
    return this.#connection;
  }

  decide(): Decision {
    return this.#decision;
  }

  decideConnection(): Decision {
    return this.#decision;
  }
}

/** Of an engine that no policy set stands behind. */
const NO_REVISION = 'none';
